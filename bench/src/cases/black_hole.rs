//! Established flows fall silent while new ones work, as after a firewall lost its state. Threads at work hang in the driver, which no
//! pool can prevent; new callers should get a connection that answers.

use super::recovery::POOLS;
use crate::load::{End, Load, Outcome, Pace, Query, Work};
use crate::measure::{Bench, Measured, Point, measured};
use crate::pools;
use crate::pools::{Peer, Setup, Target};
use crate::proxy;
use anyhow::Result;
use cabrank_testing::Proxy;
use std::thread;
use std::time::Duration;

pub fn run(bench: &mut Bench) -> Result<()> {
    let url = match bench.servers.postgres() {
        Ok(url) => url,
        Err(error) => {
            POOLS.iter().for_each(|pool| bench.miss("black_hole", pool, &format!("{error:#}")));
            return Ok(());
        }
    };
    let (proxy, url) = proxy::before(&url)?;
    for (part, at_work) in [0, 4].into_iter().enumerate() {
        bench.progress.part(part, 2);
        // The callers that arrive once the flows are silent.
        let newcomers = SIZE as usize - at_work;
        let point = Point { case: "black_hole", threads: newcomers, size: SIZE };
        bench.rounds_anew(point, bench.pick(1, 3), POOLS, |name| {
            let setup = Setup::new(Target::Postgres(url.clone()), SIZE).timeout(Duration::from_secs(3));
            let peer = pools::build(name, &setup)?;
            // Opens all connections.
            while_lent(&*peer)?;
            let measured = silence(&*peer, &proxy, at_work, newcomers);
            drop(peer);
            proxy.close_all();
            measured
        });
    }
    Ok(())
}

fn while_lent(peer: &dyn Peer) -> Result<()> {
    let pace = Pace::For(Duration::from_millis(400));
    peer.run(&Load { borrowers: 2 * SIZE as usize, work: Work::Query(Query::Select1), pace }).map(drop)
}

fn silence(peer: &dyn Peer, proxy: &Proxy, at_work: usize, newcomers: usize) -> Result<Measured> {
    let load = |borrowers, time| Load { borrowers, work: Work::Query(Query::Select1), pace: Pace::For(time) };
    let outcome = thread::scope(|scope| {
        if at_work > 0 {
            scope.spawn(move || peer.run(&load(at_work, REST + Duration::from_millis(100))));
        }
        // Idle for so long, a connection no longer counts as proved to be alive.
        thread::sleep(REST);
        proxy.swallow();
        let rescue = scope.spawn(|| {
            thread::sleep(PATIENCE);
            proxy.close_all();
        });
        let outcome = peer.run(&load(newcomers, Duration::from_secs(1)));
        rescue.join().expect("it does not panic");
        outcome
    })?;
    Ok(told(&outcome))
}

fn told(outcome: &Outcome) -> Measured {
    let firsts = || outcome.loans.iter().filter_map(|own| own.first());
    let longest = |waits: &mut dyn Iterator<Item = u64>| waits.max().unwrap_or_default() as f64 / 1e6;
    let hung = outcome.all().filter(|loan| u128::from(loan.ended - loan.asked) > HANGS.as_nanos()).count();
    measured([
        ("first_get_max_ms", longest(&mut firsts().map(|loan| loan.waited))),
        ("get_max_ms", longest(&mut outcome.all().map(|loan| loan.waited))),
        ("failed_gets", outcome.count(End::FailedGet) as f64),
        ("failed_queries", outcome.count(End::FailedQuery) as f64),
        ("hung_loans", hung as f64),
    ])
}

const SIZE: u32 = 10;
const REST: Duration = Duration::from_millis(1200);
/// After this time the proxy closes the silent connections, and the round ends.
const PATIENCE: Duration = Duration::from_millis(2500);
/// A `get` and its query that take this long together count as hung.
const HANGS: Duration = Duration::from_millis(1500);
