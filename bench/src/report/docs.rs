//! Writes tables and plots into the documents, between markers such as `<!-- bench: checkout -->` and `<!-- end of bench -->`, so no
//! figure there is typed by hand.

use super::{Report, goals, markdown, plots, write};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// Updates `docs/performance.md` with its plots, and README's summary; or only a subject's document, if the report is of that subject
/// alone.
pub fn update(report: &Report, root: &Path) -> Result<()> {
    if report.rows.is_empty() {
        bail!("nothing was measured, so no document changes");
    }
    let is_of = |subject: &str| report.rows.iter().all(|row| row.case.contains(subject));
    if let Some((_, document)) = SUBJECTS.iter().find(|(subject, _)| is_of(subject)) {
        return rewrite(report, root, &[document]);
    }
    plots::update(report, &root.join(PLOTS))?;
    rewrite(report, root, &["docs/performance.md", "README.md"])
}

/// Draws the plots of `docs/performance.md` again.
pub fn redraw(root: &Path) -> Result<()> {
    plots::redraw(&root.join(PLOTS))
}

const PLOTS: &str = "docs/performance";

/// Words in the names of cases, and the documents that contain their figures.
const SUBJECTS: &[(&str, &str)] = &[("failover", "docs/operating.md"), ("diesel", "docs/diesel.md")];

fn rewrite(report: &Report, root: &Path, documents: &[&str]) -> Result<()> {
    for document in documents {
        let path = root.join(document);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {document}"))?;
        let text = replaced(&text, |name| section(report, name)).with_context(|| (*document).to_owned())?;
        write(&path, &text)?;
    }
    Ok(())
}

/// `None` if the report has nothing new for the section.
fn section(report: &Report, name: &str) -> Option<String> {
    match name {
        "machine" => Some(format!("{}{}", report.machine.told(), preliminary(report))),
        "goals" => Some(goals::table(&goals::standings(report, |_| true))),
        "missing" => Some(match markdown::missing(report) {
            missing if missing.is_empty() => "Nothing.".into(),
            missing => missing,
        }),
        "summary" => Some(summary(report)),
        "diesel_trouble" => markdown::metric_table(report, name),
        case => markdown::case_table(report, case),
    }
}

fn preliminary(report: &Report) -> &'static str {
    if report.quick { "\n\n**Preliminary:** from a quick run, of few and short rounds." } else { "" }
}

/// The first figures of `docs/performance.md` and README: a line for each metric, with all pools side by side.
fn summary(report: &Report) -> String {
    let pools = ["cabrank", "r2d2", "deadpool", "sqlx", "hikaricp"];
    let lines = SUMMARY.iter().filter_map(|(what, case, threads, size, metric)| {
        let median = |pool: &str| report.row(case, *threads, *size, pool, metric).map(|row| row.median);
        median("cabrank")?;
        let cells = pools.map(|pool| median(pool).map_or(String::new(), markdown::number));
        Some(format!("| {what} | {} |", cells.join(" | ")))
    });
    let head = format!("| | {} |\n|---|{}", pools.join(" | "), "---:|".repeat(pools.len()));
    let note = format!("{}{}", wrapped(&report.machine.told()), preliminary(report));
    format!("{note}\n\n{head}\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// In lines as wide as README's.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one from the beginning");
        match line.len() {
            0 => line.push_str(word),
            len if len + 1 + word.len() <= WIDTH => *line = format!("{line} {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

const WIDTH: usize = 120;

const SUMMARY: &[(&str, &str, usize, u32, &str)] = &[
    ("`get` and drop, 1 thread, pool of 10: ns", "checkout", 1, 10, "ns_per_cycle"),
    ("64 threads on 8 connections, loans of 100 us: p99.9 of the waits, us", "sleep100us", 64, 8, "wait_p999_us"),
    ("PostgreSQL `SELECT 1`, 1 thread: queries per second", "pg_select1", 1, 8, "ops_per_s"),
    ("server outage of 2 s: failed `get` calls", "recovery", 16, 8, "failed_gets"),
    ("established flows silent: callers that hang, of 10", "black_hole", 10, 10, "hung_loans"),
];

fn replaced(text: &str, section: impl Fn(&str) -> Option<String>) -> Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let (before, after) = rest.split_at(at);
        let Some((name, _)) = after[BEGIN.len()..].split_once(" -->") else { bail!("a marker without end") };
        let begin = &after[..BEGIN.len() + name.len() + " -->".len()];
        let Some(end) = after.find(END) else { bail!("`{name}` has no end") };
        out.push_str(before);
        out.push_str(begin);
        match section(name) {
            Some(new) => out.push_str(&format!("\n{new}\n")),
            None => out.push_str(&after[begin.len()..end]),
        }
        out.push_str(END);
        rest = &after[end + END.len()..];
    }
    out.push_str(rest);
    Ok(out)
}

const BEGIN: &str = "<!-- bench: ";
const END: &str = "<!-- end of bench -->";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_markers_is_replaced_and_nothing_else() {
        let text = format!("a\n{BEGIN}one -->\nold\n{END}\nb\n{BEGIN}two -->\nkept\n{END}\n");
        let new = replaced(&text, |name| (name == "one").then(|| "new".into())).unwrap();
        assert_eq!(new, text.replace("old", "new"));
        assert!(replaced(&format!("{BEGIN}one -->\n"), |_| None).is_err());
    }
}
