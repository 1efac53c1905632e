//! Fifty borrowers at once on a cold pool; connecting takes 150 ms, a loan 2 ms. How soon are all served, and by how many connections?

use crate::load::{Load, Pace, Work};
use crate::measure::{Bench, Point, measured, millis, percentile};
use crate::pools;
use crate::pools::{ON_STUB, Setup, Stub, Target};
use anyhow::Result;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub fn run(bench: &mut Bench) -> Result<()> {
    let point = Point { case: "spike", threads: 50, size: 50 };
    bench.rounds_anew(point, bench.pick(3, 7), ON_STUB, |name| {
        let stub = Stub { connect: Duration::from_millis(150), ..Stub::default() };
        let peer = pools::build(name, &Setup::new(Target::Stub(stub.clone()), 50).cold())?;
        let work = Work::Sleep(Duration::from_millis(2));
        // One loan each, with its times: fifty arrivals within fifty nanoseconds.
        let during = Duration::from_nanos(50);
        let outcome = peer.run(&Load { borrowers: 50, work, pace: Pace::Arrivals { per_second: 1e9, during } })?;
        let waits = outcome.waits();
        Ok(measured([
            ("all_done_ms", millis(outcome.elapsed)),
            ("wait_p50_us", percentile(&waits, 0.5)),
            ("wait_max_us", percentile(&waits, 1.0)),
            ("opened", stub.opened.load(Ordering::Relaxed) as f64),
        ]))
    });
    Ok(())
}
