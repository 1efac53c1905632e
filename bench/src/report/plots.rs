//! The report as SVG plots: waits as percentile curves, throughput against threads, timelines of a recovery.

use super::Report;
use anyhow::{Result, anyhow};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

/// One pool's line.
type Line = (String, Vec<(f64, f64)>);

/// Draws what the report has, and names the files.
pub fn draw(report: &Report, folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let curves: BTreeSet<_> =
        report.curves.iter().map(|curve| (curve.case.clone(), curve.threads, curve.size)).collect();
    for (case, threads, size) in curves {
        let same = |curve: &&super::Curve| (&curve.case, curve.threads, curve.size) == (&case, threads, size);
        let lines: Vec<Line> =
            report.curves.iter().filter(same).map(|curve| (curve.pool.clone(), curve.points.clone())).collect();
        let name = format!("{case}-{threads}-on-{size}.svg");
        let title = format!("{case}, {threads} on {size}");
        let path = folder.join(&name);
        match &*case {
            "recovery" => timeline(&path, &format!("{title}: the server is back at 0"), &lines)?,
            "killed" => timeline(&path, &format!("{title}: all sessions are killed at 0"), &lines)?,
            "open_loop" => percentiles(&path, &format!("{title}: responses at 95 % of capacity"), &lines)?,
            _ => percentiles(&path, &format!("{title}: waits"), &lines)?,
        }
        names.push(name);
    }
    for case in ["pg_select1", "pg_prepared", "mysql_select1", "mysql_insert", "sqlite_select1"] {
        let lines = by_threads(report, case);
        if lines.iter().any(|(_, points)| points.len() > 1) {
            let name = format!("{case}.svg");
            throughput(&folder.join(&name), &format!("{case}: queries in a second against threads"), &lines)?;
            names.push(name);
        }
    }
    Ok(names)
}

fn by_threads(report: &Report, case: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for row in report.rows.iter().filter(|row| row.case == case && row.metric == "ops_per_s") {
        let point = (row.threads as f64, row.median);
        match lines.iter_mut().find(|(pool, _)| *pool == row.pool) {
            Some((_, points)) => points.push(point),
            None => lines.push((row.pool.clone(), vec![point])),
        }
    }
    lines
}

/// Shares of loans against microseconds; both axes stretch towards the rare and long.
fn percentiles(path: &Path, title: &str, lines: &[Line]) -> Result<()> {
    let nines = |share: f64| -(1.0 - share).max(1e-4).log10();
    let lines: Vec<Line> = lines
        .iter()
        .map(|(pool, points)| {
            (pool.clone(), points.iter().map(|(share, wait)| (nines(*share), wait.max(1.0))).collect())
        })
        .collect();
    let top = highest(&lines);
    let as_percentile = |nines: &f64| {
        let percent = 100.0 * (1.0 - 10f64.powf(-nines));
        format!("p{}", format!("{percent:.2}").trim_end_matches('0').trim_end_matches('.'))
    };
    chart(path, title, &lines, 0.0..4.0, (1.0..top * 1.2).log_scale(), &as_percentile, "microseconds")
}

fn timeline(path: &Path, title: &str, lines: &[Line]) -> Result<()> {
    let seconds = |seconds: &f64| format!("{seconds:.1} s");
    let (from, to) = span(lines);
    chart(path, title, lines, from..to, 0.0..highest(lines) * 1.1, &seconds, "queries in a second")
}

fn throughput(path: &Path, title: &str, lines: &[Line]) -> Result<()> {
    let (from, to) = span(lines);
    let threads = |threads: &f64| format!("{threads:.0}");
    chart(path, title, lines, (from..to).log_scale(), 0.0..highest(lines) * 1.1, &threads, "queries in a second")
}

fn chart<X, Y>(
    path: &Path,
    title: &str,
    lines: &[Line],
    x: X,
    y: Y,
    x_label: &dyn Fn(&f64) -> String,
    y_title: &str,
) -> Result<()>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let drawn = || -> std::result::Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::new(path, (860, 460)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(32)
            .y_label_area_size(72)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_labels(9)
            .x_label_formatter(x_label)
            .y_label_formatter(&|value| super::markdown::number(*value))
            .y_desc(y_title)
            .draw()?;
        for (pool, points) in lines {
            let style = color(pool).stroke_width(if pool == "cabrank" { 3 } else { 2 });
            chart
                .draw_series(LineSeries::new(points.iter().copied(), style))?
                .label(pool)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.2))
            .draw()?;
        area.present()?;
        Ok(())
    };
    drawn().map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))
}

/// The same in every plot.
fn color(pool: &str) -> RGBColor {
    match pool {
        "cabrank" => RGBColor(200, 30, 30),
        "r2d2" => RGBColor(30, 90, 200),
        "r2d2_unchecked" => RGBColor(110, 170, 240),
        "deadpool" => RGBColor(30, 140, 60),
        "bb8" => RGBColor(150, 90, 190),
        "hikaricp" => RGBColor(230, 140, 20),
        "sqlx" => RGBColor(140, 100, 60),
        "mysql_pool" => RGBColor(20, 150, 150),
        _ => RGBColor(90, 90, 90),
    }
}

fn highest(lines: &[Line]) -> f64 {
    lines.iter().flat_map(|(_, points)| points).fold(1.0, |top, (_, y)| y.max(top))
}

fn span(lines: &[Line]) -> (f64, f64) {
    let all = || lines.iter().flat_map(|(_, points)| points);
    let (from, to) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), (x, _)| (x.min(from), x.max(to)));
    (from, to.max(from + 1e-9))
}
