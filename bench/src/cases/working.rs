//! Loans that take time: asleep, as while a server works, and on the processor.

use crate::load::{End, Load, Outcome, Pace, Work};
use crate::measure::{Bench, Measured, Point, measured, percentile_curve, throughput_and_waits};
use crate::pools::{ON_STUB, Setup, Stub, Target};
use anyhow::Result;
use std::collections::BTreeMap;
use std::time::Duration;

pub fn sleep100us(bench: &mut Bench) -> Result<()> {
    let work = Work::Sleep(Duration::from_micros(100));
    run(bench, "sleep100us", work, 8, &[64, 256])
}

pub fn spin2us(bench: &mut Bench) -> Result<()> {
    run(bench, "spin2us", Work::Spin(Duration::from_micros(2)), 2, &[16])
}

fn run(bench: &mut Bench, case: &'static str, work: Work, size: u32, counts: &[usize]) -> Result<()> {
    let peers = bench.peers(case, ON_STUB, &Setup::new(Target::Stub(Stub::default()), size));
    for (part, &threads) in counts.iter().enumerate() {
        bench.progress.part(part, counts.len());
        let point = Point { case, threads, size };
        let load = |time| Load { borrowers: threads, work, pace: Pace::For(time) };
        for peer in &peers {
            peer.run(&load(Duration::from_millis(200)))?;
        }
        let time = Duration::from_millis(bench.pick(400, 1000));
        let mut waits: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        bench.rounds(point, bench.pick(3, 7), &peers, |peer| {
            let outcome = peer.run(&load(time))?;
            waits.entry(peer.name()).or_default().extend(outcome.waits());
            Ok([throughput_and_waits(&outcome), fairness(&outcome)].concat())
        });
        for (pool, mut waits) in waits {
            waits.sort_by(f64::total_cmp);
            bench.curve(point, pool, percentile_curve(&waits));
        }
    }
    Ok(())
}

/// The loans of the thread that had the fewest and of the one that had the most.
fn fairness(outcome: &Outcome) -> Measured {
    let each = || outcome.loans.iter().map(|own| own.iter().filter(|loan| loan.end == End::Good).count() as f64);
    measured([("loans_fewest", each().fold(f64::INFINITY, f64::min)), ("loans_most", each().fold(0.0, f64::max))])
}
