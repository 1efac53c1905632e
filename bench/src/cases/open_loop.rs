//! Loans that fall due at a fixed rate, whatever the pool does: how long after its due time does each one end? A closed loop cannot show
//! that, because a waiter requests nothing meanwhile.

use crate::load::{Load, Pace, Work};
use crate::measure::{Bench, Point, measured, percentile, percentile_curve};
use crate::pools;
use crate::pools::{ON_STUB, Peer, Setup, Stub, Target};
use anyhow::Result;
use std::time::Duration;

pub fn run(bench: &mut Bench) -> Result<()> {
    let capacity = capacity()?;
    let peers = bench.peers("open_loop", ON_STUB, &Setup::new(Target::Stub(Stub::default()), SIZE));
    for peer in &peers {
        closed(&**peer, WORKERS)?;
    }
    let point = Point { case: "open_loop", threads: WORKERS, size: SIZE };
    let during = Duration::from_millis(bench.pick(400, 1000));
    for (part, share) in [50, 80, 95, 120].into_iter().enumerate() {
        bench.progress.part(part, 4);
        let per_second = capacity * f64::from(share) / 100.0;
        let load = Load { borrowers: WORKERS, work: WORK, pace: Pace::Arrivals { per_second, during } };
        let mut curves = Vec::new();
        bench.rounds(point, bench.pick(3, 7), &peers, |peer| {
            let outcome = peer.run(&load)?;
            let responses = outcome.responses();
            if share == 95 {
                curves.push((peer.name(), responses.clone()));
            }
            Ok(measured([
                (&*format!("response_p50_us_at_{share}"), percentile(&responses, 0.5)),
                (&*format!("response_p99_us_at_{share}"), percentile(&responses, 0.99)),
                (&*format!("response_p999_us_at_{share}"), percentile(&responses, 0.999)),
            ]))
        });
        for peer in &peers {
            let own = curves.iter().filter(|(name, _)| *name == peer.name());
            let mut all: Vec<f64> = own.flat_map(|(_, responses)| responses).copied().collect();
            all.sort_by(f64::total_cmp);
            if !all.is_empty() {
                bench.curve(point, peer.name(), percentile_curve(&all));
            }
        }
    }
    bench.row(point, "own_connection", "capacity_per_s", vec![capacity]);
    Ok(())
}

/// Loans per second of as many threads as there are connections, without a pool.
fn capacity() -> Result<f64> {
    let free = pools::build("own_connection", &Setup::new(Target::Stub(Stub::default()), SIZE))?;
    closed(&*free, SIZE as usize)
}

fn closed(peer: &dyn Peer, borrowers: usize) -> Result<f64> {
    let pace = Pace::For(Duration::from_millis(300));
    Ok(peer.run(&Load { borrowers, work: WORK, pace })?.per_second())
}

const SIZE: u32 = 8;
/// Enough threads that one is nearly always free for a loan that is due.
const WORKERS: usize = 64;
const WORK: Work = Work::Sleep(Duration::from_millis(1));
