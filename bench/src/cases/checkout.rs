//! `get` and drop without work: the cost of a pool when a connection is idle, and when all threads contend for its lock.

use crate::load::{Load, Pace, Work};
use crate::measure::{Bench, Measured, Point, measured};
use crate::pools::{ON_STUB, Peer, Setup, Stub, Target};
use anyhow::Result;
use std::time::Duration;

pub fn run(bench: &mut Bench) -> Result<()> {
    let points: &[_] = bench.pick(
        &[(1, 10), (2, 10), (4, 4), (32, 4)],
        &[
            (1, 4),
            (1, 10),
            (1, 16),
            (2, 4),
            (2, 10),
            (2, 16),
            (4, 4),
            (8, 4),
            (8, 10),
            (8, 16),
            (32, 4),
            (32, 10),
            (32, 16),
        ],
    );
    let mut size_before = 0;
    let mut peers = Vec::new();
    let mut full = Vec::new();
    let mut sorted = points.to_vec();
    // Sorted by size, so each pool is built once for each size.
    sorted.sort_by_key(|(_, size)| *size);
    for (part, (threads, size)) in sorted.into_iter().enumerate() {
        if size != size_before {
            size_before = size;
            let setup = Setup::new(Target::Stub(Stub::default()), size);
            peers = bench.peers("checkout", ON_STUB, &setup);
            // cabrank opens what is needed; only with `min_idle` are as many open as the others open by default.
            full = bench.peers("checkout", &["cabrank"], &Setup { min_idle: Some(size), ..setup });
            for peer in peers.iter().chain(&full) {
                // A warm-up: Java compiles code that runs often.
                cycles(&**peer, 2, Pace::Loans(300_000))?;
            }
        }
        // In a short round many threads share no more than one time slice.
        let loans = bench.pick(100_000, 200_000) / threads as u64;
        let pace = if threads > 8 { Pace::For(LONG) } else { Pace::Loans(loans) };
        let point = Point { case: "checkout", threads, size };
        bench.progress.part(part, points.len());
        bench.rounds(point, bench.pick(5, 9), &peers, |peer| {
            Ok(measured([("ns_per_cycle", cycles(peer, threads, pace)?)]))
        });
        bench.rounds(point, bench.pick(5, 9), &full, |peer| -> Result<Measured> {
            Ok(measured([("ns_per_cycle_min_idle_max", cycles(peer, threads, pace)?)]))
        });
    }
    Ok(())
}

/// Nanoseconds of elapsed time per loan, over all threads.
fn cycles(peer: &dyn Peer, threads: usize, pace: Pace) -> Result<f64> {
    let outcome = peer.run(&Load { borrowers: threads, work: Work::Nothing, pace })?;
    let loans = match pace {
        Pace::Loans(each) => (threads as u64 * each) as f64,
        _ => outcome.per_second() * outcome.elapsed.as_secs_f64(),
    };
    Ok(outcome.elapsed.as_nanos() as f64 / loans)
}

const LONG: Duration = Duration::from_millis(250);
