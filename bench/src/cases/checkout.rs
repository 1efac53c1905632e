//! `get` and drop without work: what a pool costs when there is a connection, and when all want the same lock.

use crate::load::{Load, Outcome, Pace, Work};
use crate::measure::{Bench, Measured, Point, measured};
use crate::pools::{ON_STUB, Peer, Setup, Stub, Target};
use anyhow::Result;

pub fn run(bench: &mut Bench) -> Result<()> {
    let points: &[_] = bench.pick(
        &[(1, 10), (2, 10), (32, 4)],
        &[(1, 4), (1, 10), (1, 16), (2, 4), (2, 10), (2, 16), (8, 4), (8, 10), (8, 16), (32, 4), (32, 10), (32, 16)],
    );
    let mut size_before = 0;
    let mut peers = Vec::new();
    let mut full = Vec::new();
    let mut sorted = points.to_vec();
    // So that each pool is built once for its size.
    sorted.sort_by_key(|(_, size)| *size);
    for (part, (threads, size)) in sorted.into_iter().enumerate() {
        if size != size_before {
            size_before = size;
            let setup = Setup::new(Target::Stub(Stub::default()), size);
            peers = bench.peers("checkout", ON_STUB, &setup);
            // Ours opens what is needed, so this many are open only when it is told to.
            full = bench.peers("checkout", &["cabrank"], &Setup { min_idle: Some(size), ..setup });
            for peer in peers.iter().chain(&full) {
                // Java compiles what runs often.
                cycles(&**peer, 2, 300_000)?;
            }
        }
        let loans = bench.pick(100_000, 200_000) / threads as u64;
        let point = Point { case: "checkout", threads, size };
        bench.progress.part(part, points.len());
        bench.rounds(point, bench.pick(5, 9), &peers, |peer| {
            Ok(measured([("ns_per_cycle", cycles(peer, threads, loans)?)]))
        });
        bench.rounds(point, bench.pick(5, 9), &full, |peer| -> Result<Measured> {
            Ok(measured([("ns_per_cycle_min_idle_max", cycles(peer, threads, loans)?)]))
        });
    }
    Ok(())
}

fn cycles(peer: &dyn Peer, threads: usize, loans: u64) -> Result<f64> {
    let load = Load { borrowers: threads, work: Work::Nothing, pace: Pace::Loans(loans) };
    let Outcome { elapsed, .. } = peer.run(&load)?;
    Ok(elapsed.as_nanos() as f64 / (threads as u64 * loans) as f64)
}
