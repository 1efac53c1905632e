//! The report: what was measured, where and when, and what could not be. Its parts render it.

mod chart;
pub mod docs;
pub mod goals;
mod looks;
pub mod machine;
pub mod markdown;
pub mod plots;

use anyhow::{Context, Result};
use machine::Machine;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

#[derive(Serialize, Deserialize)]
pub struct Report {
    pub machine: Machine,
    /// Fewer and shorter rounds.
    pub quick: bool,
    pub rows: Vec<Row>,
    pub missing: Vec<Missing>,
    pub curves: Vec<Curve>,
}

/// One metric of one pool at one point, over all rounds.
#[derive(Serialize, Deserialize)]
pub struct Row {
    pub case: String,
    pub threads: usize,
    pub size: u32,
    pub pool: String,
    pub metric: String,
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

/// The cases that could not be measured, and why.
#[derive(Serialize, Deserialize)]
pub struct Missing {
    pub case: String,
    pub pool: String,
    pub reason: String,
}

/// What a plot shows of one pool. The case determines the units.
#[derive(Serialize, Deserialize)]
pub struct Curve {
    pub case: String,
    pub threads: usize,
    pub size: u32,
    pub pool: String,
    pub points: Vec<(f64, f64)>,
}

impl Row {
    pub fn new(case: &str, threads: usize, size: u32, pool: &str, metric: &str, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (min, max) = (values[0], values[values.len() - 1]);
        // Of an even number of values, the mean of the two in the middle.
        let median = (values[values.len() / 2] + values[(values.len() - 1) / 2]) / 2.0;
        Self { case: case.into(), threads, size, pool: pool.into(), metric: metric.into(), median, min, max }
    }

    fn is_of(&self, case: &str, threads: usize, size: u32, pool: &str, metric: &str) -> bool {
        (&*self.case, self.threads, self.size, &*self.pool, &*self.metric) == (case, threads, size, pool, metric)
    }
}

impl Report {
    /// Merges several runs of the same cases: the median of each row's medians, and the minimum and maximum of all rounds. A row counts
    /// even if only some runs measured it, and so does a missing peer.
    pub fn of_runs(mut runs: Vec<Self>) -> Option<Self> {
        let mut rows: Vec<Row> = Vec::new();
        for row in runs.iter().flat_map(|run| &run.rows) {
            let is_same = |other: &&Row| other.is_of(&row.case, row.threads, row.size, &row.pool, &row.metric);
            if rows.iter().any(|known| is_same(&known)) {
                continue;
            }
            let same: Vec<&Row> = runs.iter().filter_map(|run| run.rows.iter().find(is_same)).collect();
            let of = |value: fn(&Row) -> f64| same.iter().map(|row| value(row)).collect();
            let merged = |values| Row::new(&row.case, row.threads, row.size, &row.pool, &row.metric, values);
            let (min, max) = (merged(of(|row| row.min)).min, merged(of(|row| row.max)).max);
            rows.push(Row { min, max, ..merged(of(|row| row.median)) });
        }
        // The load before the later runs came from the runs themselves.
        let load_before = runs.first()?.machine.load_before;
        let mut last = runs.pop()?;
        last.machine.load_before = load_before;
        for missing in runs.into_iter().flat_map(|run| run.missing) {
            if !last.missing.iter().any(|known| (&known.case, &known.pool) == (&missing.case, &missing.pool)) {
                last.missing.push(missing);
            }
        }
        Some(Self { rows, ..last })
    }

    pub fn row(&self, case: &str, threads: usize, size: u32, pool: &str, metric: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.is_of(case, threads, size, pool, metric))
    }

    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("no report at {}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        write(path, &serde_json::to_string_pretty(self)?)
    }

    pub fn write_rows(&self, path: &Path) -> Result<()> {
        write(path, &serde_json::to_string_pretty(&self.rows)?)
    }
}

pub fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(values: Option<Vec<f64>>) -> Report {
        let rows = values.into_iter().map(|values| Row::new("checkout", 1, 10, "cabrank", "ns_per_cycle", values));
        Report {
            machine: Machine::default(),
            quick: true,
            rows: rows.collect(),
            missing: Vec::new(),
            curves: Vec::new(),
        }
    }

    fn figures(runs: Vec<Report>) -> Vec<(f64, f64, f64)> {
        Report::of_runs(runs).expect("a run").rows.iter().map(|row| (row.median, row.min, row.max)).collect()
    }

    #[test]
    fn one_run_stays_as_it_is_and_of_several_the_median_counts_and_each_round() {
        assert_eq!(figures(vec![run(Some(vec![1.0, 2.0, 9.0]))]), [(2.0, 1.0, 9.0)]);
        let runs = [vec![1.0, 2.0, 9.0], vec![3.0, 4.0, 5.0], vec![5.0, 6.0, 7.0]].map(|values| run(Some(values)));
        assert_eq!(figures(runs.into()), [(4.0, 1.0, 9.0)]);
        assert_eq!(figures(vec![run(None), run(Some(vec![3.0])), run(None)]), [(3.0, 3.0, 3.0)], "measured once");
        let mut runs = vec![run(None), run(None)];
        (runs[0].machine.load_before, runs[1].machine.load_before) = (Some(0.1), Some(9.0));
        assert_eq!(Report::of_runs(runs).expect("a run").machine.load_before, Some(0.1), "of others, not of ours");
    }
}
