//! The cost of a loan with 1 to 1,000 idle connections, with 16 pools that one thread uses in turn, and with 10 to 10,000 threads in the
//! queue. It should not grow.

use crate::load::{Load, Pace, Work};
use crate::measure::{Bench, Point, measured};
use crate::pools::{Peer, Setup, Stub, Target};
use anyhow::Result;
use std::time::Duration;

pub fn run(bench: &mut Bench) -> Result<()> {
    let sizes: &[u32] = bench.pick(&[1, 100, 1000], &[1, 10, 100, 1000]);
    let crowds: &[usize] = bench.pick(&[10, 1000], &[10, 100, 1000, 10_000]);
    let parts = sizes.len() + 1 + crowds.len();
    for (part, &size) in sizes.iter().enumerate() {
        bench.progress.part(part, parts);
        idle(bench, size)?;
    }
    bench.progress.part(sizes.len(), parts);
    in_turn(bench)?;
    for (part, &threads) in crowds.iter().enumerate() {
        bench.progress.part(sizes.len() + 1 + part, parts);
        waiting(bench, threads)?;
    }
    Ok(())
}

fn idle(bench: &mut Bench, size: u32) -> Result<()> {
    let setup = Setup { min_idle: Some(size), ..Setup::new(Target::Stub(Stub::default()), size) };
    let peers = bench.peers("growth", POOLS, &setup);
    for peer in &peers {
        open_all(&**peer, size)?;
    }
    let loans = bench.pick(50_000, 200_000);
    bench.rounds(Point { case: "growth", threads: 1, size }, bench.pick(3, 7), &peers, |peer| {
        let outcome = peer.run(&Load { borrowers: 1, work: Work::Nothing, pace: Pace::Loans(loans) })?;
        Ok(measured([("ns_per_cycle", outcome.elapsed.as_nanos() as f64 / loans as f64)]))
    });
    Ok(())
}

/// One thread uses the pools in turn.
fn in_turn(bench: &mut Bench) -> Result<()> {
    let setup = Setup { pools: 16, ..Setup::new(Target::Stub(Stub::default()), SIZE) };
    let peers = bench.peers("growth", &["cabrank", "r2d2"], &setup);
    let loans = bench.pick(50_000, 200_000);
    bench.rounds(Point { case: "growth", threads: 1, size: SIZE }, bench.pick(3, 7), &peers, |peer| {
        let outcome = peer.run(&Load { borrowers: 1, work: Work::Nothing, pace: Pace::Loans(loans) })?;
        Ok(measured([("of_16_pools_in_turn_ns", outcome.elapsed.as_nanos() as f64 / loans as f64)]))
    });
    Ok(())
}

/// For pools that open connections only on demand: a loan of each connection at once.
fn open_all(peer: &dyn Peer, size: u32) -> Result<()> {
    let work = Work::Sleep(Duration::from_millis(50));
    peer.run(&Load { borrowers: size as usize, work, pace: Pace::Loans(1) }).map(drop)
}

/// All threads but four are in the queue while loans pass from one to the next; each thread has a few. The metric is the time between two
/// loans, which includes waking a thread.
fn waiting(bench: &mut Bench, threads: usize) -> Result<()> {
    let setup = Setup::new(Target::Stub(Stub::default()), SIZE);
    let peers = bench.peers("growth", POOLS, &setup);
    let pace = Pace::For(Duration::from_millis(bench.pick(300, 500)));
    // Long enough for the others to queue before a loan ends.
    let work = Work::Sleep(Duration::from_micros(20));
    bench.rounds(Point { case: "growth", threads, size: SIZE }, bench.pick(3, 7), &peers, |peer| {
        let outcome = peer.run(&Load { borrowers: threads, work, pace })?;
        Ok(measured([("us_between_loans", 1e6 / outcome.per_second())]))
    });
    Ok(())
}

const POOLS: &[&str] = &["cabrank", "r2d2", "deadpool", "bb8"];
const SIZE: u32 = 4;
