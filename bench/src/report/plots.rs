//! The report as plots: waits as percentile curves, throughput against threads, timelines of a recovery. `chart` draws them.
//!
//! Their data is kept beside them, in `curves.json`, from which they can be drawn again without measuring.

use super::chart::{Axis, Chart, Line};
use super::markdown::number;
use super::{Curve, Report, write};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What the plots of this report show: its curves, and the throughput of the cases that vary the threads.
pub fn curves(report: &Report) -> Vec<Curve> {
    let mut curves: Vec<Curve> = report.curves.iter().map(rounded).collect();
    let cases = QUERIES.iter().map(|(case, _)| *case);
    for row in
        cases.flat_map(|case| report.rows.iter().filter(move |row| row.case == case && row.metric == "ops_per_s"))
    {
        let point = (row.threads as f64, row.median);
        match curves.iter_mut().find(|curve| (&curve.case, &curve.pool) == (&row.case, &row.pool)) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve {
                case: row.case.clone(),
                threads: 0,
                size: row.size,
                pool: row.pool.clone(),
                points: vec![point],
            }),
        }
    }
    // A single point makes no line.
    curves.retain(|curve| curve.points.len() > 1);
    curves
}

/// More digits than a plot can show would only make the file long.
fn rounded(curve: &Curve) -> Curve {
    let decimals = |value: f64, factor: f64| (value * factor).round() / factor;
    let points = curve.points.iter().map(|(x, y)| (decimals(*x, 1e6), decimals(*y, 10.0))).collect();
    Curve { case: curve.case.clone(), pool: curve.pool.clone(), points, ..*curve }
}

/// Draws these, and names the files.
pub fn draw(curves: &[Curve], folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for plot in curves.iter().map(plot).collect::<BTreeSet<_>>() {
        let own: Vec<_> = curves.iter().filter(|curve| self::plot(curve) == plot).collect();
        let (case, threads, size) = plot;
        let name = if threads == 0 { format!("{case}.svg") } else { format!("{case}-{threads}-on-{size}.svg") };
        write(&folder.join(&name), &chart(&own).svg()?)?;
        names.push(name);
    }
    Ok(names)
}

/// Keeps the curves in the folder, in the place of earlier ones of the same plots, and draws all that are there.
pub fn update(report: &Report, folder: &Path) -> Result<()> {
    let new = curves(report);
    // A file that cannot be read is an error: what it keeps would be lost.
    let mut all = if folder.join(FILE).exists() { read(folder)? } else { Vec::new() };
    all.retain(|old| new.iter().all(|new| plot(new) != plot(old)));
    all.extend(new);
    // A line for each, so that a difference shows which changed.
    let lines: Vec<_> = all.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    write(&folder.join(FILE), &format!("[\n{}\n]\n", lines.join(",\n")))?;
    redraw(folder)
}

/// Draws what is kept in the folder.
pub fn redraw(folder: &Path) -> Result<()> {
    draw(&read(folder)?, folder).map(drop)
}

fn read(folder: &Path) -> Result<Vec<Curve>> {
    let path = folder.join(FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

const FILE: &str = "curves.json";

/// The plot that a curve belongs to.
fn plot(curve: &Curve) -> (&str, usize, u32) {
    (&curve.case, curve.threads, curve.size)
}

fn chart(curves: &[&Curve]) -> Chart {
    let first = curves[0];
    let on = format!("{} threads on {} connections", first.threads, first.size);
    let titles = |title: &str, subtitle: &str| (title.to_owned(), subtitle.to_owned());
    match &*first.case {
        "recovery" => {
            let titles = titles("A server outage of two seconds", &format!("{on} to PostgreSQL; SELECT 1"));
            timeline(curves, titles, "Seconds since the server's return", (-2.0, 0.0, "server away"))
        }
        "killed" => {
            let titles = titles("All sessions killed at once", &format!("{on} to PostgreSQL; SELECT 1"));
            timeline(curves, titles, "Seconds since the sessions were killed", (0.0, 0.0, "sessions killed"))
        }
        "open_loop" => {
            let about = "loans of 1 ms, due at a fixed rate, from when each was due to its end; all rounds together";
            let titles = titles("Response times at 95 % of capacity", &format!("{on}; {about}"));
            percentiles(curves, titles, "Response time (logarithmic)")
        }
        case => match QUERIES.iter().find(|(known, _)| *known == case) {
            Some((_, title)) => {
                let about = format!(
                    "Pools of {} connections, own_connection one per thread; median of the rounds; logarithmic x axis",
                    first.size
                );
                throughput(curves, titles(title, &about))
            }
            None => {
                let loans = if case == "spin2us" { "2 us of work on the processor" } else { "100 us of sleep" };
                percentiles(
                    curves,
                    titles("Waits for a connection", &format!("{on}; loans of {loans}")),
                    "Wait (logarithmic)",
                )
            }
        },
    }
}

/// Throughput against threads, and what is asked.
const QUERIES: &[(&str, &str)] = &[
    ("pg_select1", "PostgreSQL: SELECT 1"),
    ("pg_prepared", "PostgreSQL: read by primary key, through the statement cache"),
    ("mysql_select1", "MySQL: SELECT 1"),
    ("mysql_insert", "MySQL: insert into a table with AUTO_INCREMENT"),
    ("sqlite_select1", "SQLite: SELECT 1"),
];

/// Both axes are logarithmic: x in the share of loans that waited longer, which stretches towards the rare, and y in microseconds.
fn percentiles(curves: &[&Curve], (title, subtitle): (String, String), wait: &'static str) -> Chart {
    let nines = |share: f64| -(1.0 - share).max(1e-4).log10();
    // The curve has no point exactly at the median.
    let x = Axis {
        title: "Percentile of loans (logarithmic)",
        from: nines(0.498),
        to: nines(0.9999),
        ticks: [0.5, 0.9, 0.99, 0.999, 0.9999].map(|share| (nines(share), format!("p{}", 100.0 * share))).into(),
    };
    let waits = |(share, wait): &(f64, f64)| (nines(*share), wait.max(SHORTEST).log10());
    let lines = lines(curves, waits);
    let shown = || lines.iter().flat_map(|line| &line.points).filter(|(at, _)| *at >= x.from).map(|(_, wait)| *wait);
    let (low, high) = (shown().fold(f64::INFINITY, f64::min), shown().fold(0.0, f64::max) + 0.1);
    let steps: &[f64] = if high - low < 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let known = (0..9).flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)));
    let from = known.clone().filter(|us| us.log10() <= low).fold(SHORTEST, f64::max);
    let ticks = known.filter(|us| (from..10_f64.powf(high)).contains(us));
    let label = |us: f64| if us <= SHORTEST { format!("≤ {}", time(us)) } else { time(us) };
    let y =
        Axis { title: wait, from: from.log10(), to: high, ticks: ticks.map(|us| (us.log10(), label(us))).collect() };
    let markers = x.ticks.iter().map(|(at, _)| *at).collect();
    Chart { title, subtitle, x, y, lines, markers, shaded: None }
}

/// In microseconds. Shorter waits are drawn as this.
const SHORTEST: f64 = 1.0;

fn time(us: f64) -> String {
    match us {
        1e6.. => format!("{} s", us / 1e6),
        1e3.. => format!("{} ms", us / 1e3),
        _ => format!("{us} us"),
    }
}

fn timeline(
    curves: &[&Curve],
    (title, subtitle): (String, String),
    since: &'static str,
    shaded: (f64, f64, &'static str),
) -> Chart {
    let lines = lines(curves, |point| *point);
    let (from, to) = span(&lines);
    let halves: Vec<f64> = (-20..20).map(|half| f64::from(half) / 2.0).filter(|at| (from..=to).contains(at)).collect();
    let x = Axis { title: since, from, to, ticks: halves.iter().map(|at| (*at, format!("{at}"))).collect() };
    // Not in the outage, where all lie on each other, nor on the y axis.
    let markers = halves.into_iter().filter(|at| !(shaded.0..=shaded.1).contains(at) && *at > from + 0.1).collect();
    let subtitle = format!("{subtitle}; successful queries, in steps of 50 ms");
    Chart { title, subtitle, x, y: per_second(&lines), lines, markers, shaded: Some(shaded) }
}

fn throughput(curves: &[&Curve], (title, subtitle): (String, String)) -> Chart {
    let lines = lines(curves, |(threads, rate)| (threads.log2(), *rate));
    let (from, to) = span(&lines);
    let markers: Vec<f64> = lines[0].points.iter().map(|(at, _)| *at).collect();
    let ticks = markers.iter().map(|at| (*at, format!("{}", at.exp2().round()))).collect();
    let x = Axis { title: "Threads", from, to, ticks };
    Chart { title, subtitle, x, y: per_second(&lines), lines, markers, shaded: None }
}

/// From zero, with four to eight round ticks.
fn per_second(lines: &[Line]) -> Axis {
    let top = lines.iter().flat_map(|line| &line.points).fold(1.0, |top: f64, (_, rate)| top.max(*rate));
    let decade = 10_f64.powf(top.log10().floor());
    let step = [0.2, 0.5, 1.0].map(|part| part * decade).into_iter().find(|step| top / step < 8.0).unwrap_or(decade);
    let label = |rate: f64| if top < 1e6 || rate == 0.0 { number(rate) } else { format!("{:.1} M", rate / 1e6) };
    let ticks = (0..).map(|count| f64::from(count) * step).take_while(|rate| *rate <= 1.05 * top);
    Axis {
        title: "Queries per second",
        from: 0.0,
        to: 1.05 * top,
        ticks: ticks.map(|rate| (rate, label(rate))).collect(),
    }
}

/// cabrank comes first: its line is the broadest, and stays visible below another.
fn lines(curves: &[&Curve], place: impl Fn(&(f64, f64)) -> (f64, f64)) -> Vec<Line> {
    let line = |curve: &&Curve| Line { pool: curve.pool.clone(), points: curve.points.iter().map(&place).collect() };
    let mut lines: Vec<Line> = curves.iter().map(line).collect();
    lines.sort_by_key(|line| line.pool != "cabrank");
    lines
}

fn span(lines: &[Line]) -> (f64, f64) {
    let all = lines.iter().flat_map(|line| &line.points);
    all.fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), (x, _)| (x.min(from), x.max(to)))
}

#[cfg(test)]
mod tests {
    use super::super::chart::tests::assert_legible;
    use super::super::machine::Machine;
    use super::super::{Missing, Row};
    use super::*;
    use std::path::PathBuf;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance")
    }

    #[test]
    fn the_plots_in_the_documents_show_the_curves_beside_them_and_are_legible() {
        let all = read(&folder()).expect("curves");
        let plots: BTreeSet<_> = all.iter().map(plot).collect();
        for plot in &plots {
            let own: Vec<_> = all.iter().filter(|curve| self::plot(curve) == *plot).collect();
            let pools: Vec<_> = own.iter().map(|curve| &*curve.pool).collect();
            assert_legible(&chart(&own).svg().expect("a drawing"), &pools);
        }
        let drawn = std::env::temp_dir().join(format!("cabrank-plots-{}", std::process::id()));
        let names = draw(&all, &drawn).expect("a drawing");
        let same =
            |name: &String| fs::read(drawn.join(name)).unwrap() == fs::read(folder().join(name)).unwrap_or_default();
        let old: Vec<_> = names.iter().filter(|name| !same(name)).collect();
        fs::remove_dir_all(&drawn).expect("its removal");
        assert!(old.is_empty() && names.len() == plots.len(), "run `cargo xtask bench --replot`: {old:?}");
    }

    #[test]
    fn percentiles_are_those_that_people_read() {
        let points = [(0.0, 0.3), (0.5, 3.0), (0.9, 40.0), (0.99, 500.0), (0.9999, 6e6)].to_vec();
        let curve = Curve { case: "sleep100us".into(), threads: 64, size: 8, pool: "cabrank".into(), points };
        let Chart { x, y, .. } = chart(&[&curve]);
        let labels = |axis: &Axis| axis.ticks.iter().map(|(_, label)| label.clone()).collect::<Vec<_>>();
        assert_eq!(labels(&x), ["p50", "p90", "p99", "p99.9", "p99.99"]);
        assert_eq!(labels(&y), ["≤ 1 us", "10 us", "100 us", "1 ms", "10 ms", "100 ms", "1 s"]);
    }

    #[test]
    fn throughput_is_a_curve_too_where_more_than_one_number_of_threads_was_measured() {
        let row = |threads, pool: &str| Row::new("pg_select1", threads, 8, pool, "ops_per_s", vec![1e3, 2e3, 9e3]);
        let rows = vec![row(1, "cabrank"), row(1, "r2d2"), row(4, "cabrank")];
        let report = Report {
            machine: Machine::default(),
            quick: true,
            rows,
            missing: Vec::<Missing>::new(),
            curves: Vec::new(),
        };
        let curves = curves(&report);
        assert_eq!(curves.len(), 1);
        assert_eq!((&*curves[0].pool, &*curves[0].points), ("cabrank", &[(1.0, 2e3), (4.0, 2e3)][..]));
    }
}
