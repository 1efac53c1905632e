//! Rounds: peers take turns within each, so a machine that slows down slows all alike. And the rows that result.

use crate::load::Outcome;
use crate::options::Options;
use crate::pools;
use crate::pools::{Peer, Setup};
use crate::progress::Progress;
use crate::report::{Curve, Missing, Report, Row};
use crate::servers::Servers;
use anyhow::Result;
use std::time::Duration;

/// The context of a case: how thoroughly to measure, on which servers, and where the results go.
pub struct Bench {
    pub options: Options,
    pub servers: Servers,
    pub report: Report,
    pub progress: Progress,
}

/// The point at which something is measured.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub case: &'static str,
    pub threads: usize,
    pub size: u32,
}

/// Names and values from one round of one peer.
pub type Measured = Vec<(String, f64)>;

impl Bench {
    /// The first value in a quick run, the second in a full one.
    pub fn pick<T>(&self, quick: T, full: T) -> T {
        if self.options.quick { quick } else { full }
    }

    /// Builds each peer, and notes as not measured those that cannot be built.
    pub fn peers(&mut self, case: &str, names: &[&'static str], setup: &Setup) -> Vec<Box<dyn Peer>> {
        let mut peers = Vec::new();
        for name in names {
            match pools::build(name, setup) {
                Ok(peer) => peers.push(peer),
                Err(error) => self.miss(case, name, &format!("{error:#}")),
            }
        }
        peers
    }

    /// Measures peers that are kept from round to round.
    pub fn rounds(
        &mut self,
        point: Point,
        rounds: usize,
        peers: &[Box<dyn Peer>],
        mut measure: impl FnMut(&dyn Peer) -> Result<Measured>,
    ) {
        let names: Vec<_> = peers.iter().map(|peer| peer.name()).collect();
        self.rounds_anew(point, rounds, &names, |name| {
            let peer = peers.iter().find(|peer| peer.name() == name).expect("it is one of them");
            measure(&**peer)
        });
    }

    /// Measures peers that `measure` builds anew for each round.
    pub fn rounds_anew(
        &mut self,
        point: Point,
        rounds: usize,
        names: &[&'static str],
        mut measure: impl FnMut(&'static str) -> Result<Measured>,
    ) {
        let mut names = names.to_vec();
        // In the order in which the case lists the pools.
        let mut samples: Vec<(&str, String, Vec<f64>)> = Vec::new();
        let order = names.clone();
        for round in 0..rounds {
            // No peer always follows the same one.
            if !names.is_empty() {
                names.rotate_left(1);
            }
            for name in names.clone() {
                self.progress.round(point.case, name, round, rounds);
                match measure(name) {
                    Ok(measured) => {
                        for (metric, value) in measured {
                            match samples.iter_mut().find(|(pool, known, _)| *pool == name && *known == metric) {
                                Some((_, _, values)) => values.push(value),
                                None => samples.push((name, metric, vec![value])),
                            }
                        }
                    }
                    Err(error) => {
                        names.retain(|other| *other != name);
                        self.miss(point.case, name, &format!("{error:#}"));
                    }
                }
            }
        }
        samples.sort_by_key(|(pool, _, _)| order.iter().position(|other| other == pool));
        for (pool, metric, values) in samples {
            // A peer that failed in a later round counts as not measured.
            if names.contains(&pool) {
                self.row(point, pool, &metric, values);
            }
        }
    }

    pub fn row(&mut self, Point { case, threads, size }: Point, pool: &str, metric: &str, values: Vec<f64>) {
        self.report.rows.push(Row::new(case, threads, size, pool, metric, values));
    }

    pub fn miss(&mut self, case: &str, pool: &str, reason: &str) {
        self.progress.say(&format!("{case}: {pool} is not measured: {reason}"));
        self.report.missing.push(Missing { case: case.into(), pool: pool.into(), reason: reason.into() });
    }

    pub fn curve(&mut self, Point { case, threads, size }: Point, pool: &str, points: Vec<(f64, f64)>) {
        self.report.curves.push(Curve { case: case.into(), threads, size, pool: pool.into(), points });
    }
}

/// Names and values, as `Measured`.
pub fn measured<const N: usize>(values: [(&str, f64); N]) -> Measured {
    values.into_iter().map(|(metric, value)| (metric.to_owned(), value)).collect()
}

/// Loans per second, and waits by percentile.
pub fn throughput_and_waits(outcome: &Outcome) -> Measured {
    let waits = outcome.waits();
    measured([
        ("ops_per_s", outcome.per_second()),
        ("wait_p50_us", percentile(&waits, 0.5)),
        ("wait_p99_us", percentile(&waits, 0.99)),
        ("wait_p999_us", percentile(&waits, 0.999)),
        ("wait_max_us", percentile(&waits, 1.0)),
    ])
}

/// Of sorted values; 0 if there are none.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

/// Shares and values, denser towards the end, for a percentile curve.
pub fn percentile_curve(sorted: &[f64]) -> Vec<(f64, f64)> {
    let shares = (0..=80).map(|step| 1.0 - 10f64.powf(-f64::from(step) / 20.0));
    shares.map(|share| (share, percentile(sorted, share))).collect()
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
