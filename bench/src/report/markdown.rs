//! The report as Markdown: a table for each case, with a line for each pool at each point.

use super::{Report, Row};
use crate::cases;
use std::fmt::Write;

/// The whole report: the machine, the goals, the tables, what is missing.
pub fn whole(report: &Report, goals: &str) -> String {
    let mut text = format!("# cabrank compared with other pools\n\n{}\n\n## Goals\n\n{goals}\n", report.machine.told());
    for case in cases::all() {
        let table = if case.name == "diesel_trouble" { metric_table } else { case_table };
        if let Some(table) = table(report, case.name) {
            let _ = write!(
                text,
                "\n## {}\n\nCase `{}`. Medians, with the minimum and maximum of all rounds in brackets.\n\n{table}\n",
                upper(case.about),
                case.name
            );
        }
    }
    let missing = missing(report);
    if !missing.is_empty() {
        let _ = write!(text, "\n## Not measured\n\n{missing}\n");
    }
    text
}

/// `None` if the case did not run.
pub fn case_table(report: &Report, case: &str) -> Option<String> {
    let mut rows: Vec<_> = report.rows.iter().filter(|row| row.case == case).collect();
    rows.sort_by_key(|row| (row.threads, row.size));
    // Metrics differ between points, so each set of metrics has its own table.
    let mut blocks: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
    let mut done = Vec::new();
    for row in &rows {
        let key = (row.threads, row.size, &row.pool);
        if done.contains(&key) {
            continue;
        }
        done.push(key);
        let own: Vec<_> = rows.iter().filter(|other| (other.threads, other.size, &other.pool) == key).collect();
        let metrics: Vec<_> = own.iter().map(|row| &*row.metric).collect();
        let cells: String = own.iter().map(|row| format!(" {} |", cell(row))).collect();
        let line = format!("| {} | {} | {} |{cells}", row.threads, row.size, row.pool);
        match blocks.iter_mut().find(|(known, _)| *known == metrics) {
            Some((_, lines)) => lines.push(line),
            None => blocks.push((metrics, vec![line])),
        }
    }
    let tables = blocks.into_iter().map(|(metrics, lines)| {
        let head: String = metrics.iter().map(|metric| format!(" {metric} |")).collect();
        let rule = "---|".repeat(metrics.len());
        format!("| threads | size | pool |{head}\n|---:|---:|---|{rule}\n{}", lines.join("\n"))
    });
    let tables: Vec<_> = tables.collect();
    (!tables.is_empty()).then(|| tables.join("\n\n"))
}

/// For a case at one point with unrelated metrics: a line for each metric, with all pools side by side.
pub fn metric_table(report: &Report, case: &str) -> Option<String> {
    let rows = || report.rows.iter().filter(|row| row.case == case);
    let (mut pools, mut metrics) = (Vec::new(), Vec::new());
    for row in rows() {
        pools.extend((!pools.contains(&&row.pool)).then_some(&row.pool));
        metrics.extend((!metrics.contains(&&row.metric)).then_some(&row.metric));
    }
    let line = |metric: &&String| {
        let of = |pool: &&String| {
            rows().find(|row| row.pool == **pool && row.metric == **metric).map_or(String::new(), cell)
        };
        format!("| {metric} | {} |", pools.iter().map(of).collect::<Vec<_>>().join(" | "))
    };
    let names: Vec<_> = pools.iter().map(|pool| pool.as_str()).collect();
    let head = format!("| | {} |\n|---|{}", names.join(" | "), "---|".repeat(pools.len()));
    let lines: Vec<_> = metrics.iter().map(line).collect();
    (!lines.is_empty()).then(|| format!("{head}\n{}", lines.join("\n")))
}

pub fn missing(report: &Report) -> String {
    let line = |miss: &super::Missing| format!("- `{}`, {}: not measured: {}", miss.case, miss.pool, miss.reason);
    report.missing.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn cell(Row { median, min, max, .. }: &Row) -> String {
    if min == max { number(*median) } else { format!("{} ({} to {})", number(*median), number(*min), number(*max)) }
}

/// With the significant digits only, and commas between thousands.
pub fn number(value: f64) -> String {
    if value.abs() < 10.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_told_with_the_digits_that_mean_something() {
        assert_eq!([0.0, 1.25, 133.7, 45_123.0, -1234.0].map(number), ["0", "1.2", "134", "45,123", "-1,234"]);
    }
}
