//! A server that is away for two seconds, under load. A proxy in front of a real PostgreSQL simulates the outage, so the moment of its
//! return is exact. Its cost is the same for all pools.

use crate::load::{End, Load, Outcome, Pace, Query, Work};
use crate::measure::{Bench, Point, measured, millis};
use crate::pools;
use crate::pools::{Peer, Setup, Target};
use crate::proxy;
use crate::proxy::refused_attempts;
use anyhow::Result;
use cabrank_testing::NetworkFault;
use std::thread;
use std::time::{Duration, Instant};

pub fn run(bench: &mut Bench) -> Result<()> {
    let point = Point { case: "recovery", threads: 16, size: 8 };
    let url = match bench.servers.postgres() {
        Ok(url) => url,
        Err(error) => {
            POOLS.iter().for_each(|pool| bench.miss(point.case, pool, &format!("{error:#}")));
            return Ok(());
        }
    };
    let (proxy, url) = proxy::before(&url)?;
    let accepted = || proxy.counts().attempts.len() as u64;
    let mut timelines = Vec::new();
    bench.rounds_anew(point, bench.pick(1, 7), POOLS, |name| {
        let setup = Setup::new(Target::Postgres(url.clone()), point.size).timeout(Duration::from_secs(3));
        let peer = pools::build(name, &setup)?;
        under_load(&*peer, Duration::from_millis(300))?;
        let (connections, refused) = (accepted(), refused_attempts());
        let (outcome, up) = thread::scope(|scope| {
            let absence = scope.spawn(|| {
                thread::sleep(BEFORE);
                proxy.set(NetworkFault::Refuse);
                proxy.close_all();
                thread::sleep(AWAY);
                proxy.set(NetworkFault::None);
                Instant::now()
            });
            let outcome = under_load(&*peer, BEFORE + AWAY + AFTER);
            (outcome, absence.join().expect("it does not panic"))
        });
        let outcome = outcome?;
        if !timelines.iter().any(|(other, _)| *other == name) {
            timelines.push((name, timeline(&outcome, up)));
        }
        let back = Back::of(&outcome, up);
        let refused = refused_attempts().zip(refused).map_or(0, |(now, then)| now - then);
        drop(peer);
        proxy.close_all();
        Ok(measured([
            ("failed_gets", outcome.count(End::FailedGet) as f64),
            ("failed_queries", outcome.count(End::FailedQuery) as f64),
            ("first_success_ms", back.first),
            ("to_80_percent_ms", back.to_80),
            ("to_99_percent_ms", back.to_99),
            ("connection_attempts", (refused + accepted() - connections) as f64),
            ("ops_per_s_before", back.before),
        ]))
    });
    for (pool, points) in timelines {
        bench.curve(point, pool, points);
    }
    Ok(())
}

pub fn under_load(peer: &dyn Peer, time: Duration) -> Result<Outcome> {
    peer.run(&Load { borrowers: 16, work: Work::Query(Query::Select1), pace: Pace::For(time) })
}

/// Milliseconds since the server's return.
struct Back {
    /// Loans per second before the outage.
    before: f64,
    first: f64,
    to_80: f64,
    to_99: f64,
}

impl Back {
    fn of(outcome: &Outcome, up: Instant) -> Self {
        let up = (up - outcome.began).as_nanos() as u64;
        let mut good: Vec<_> = outcome.all().filter(|loan| loan.end == End::Good).map(|loan| loan.ended).collect();
        good.sort_unstable();
        let (from, to) = (BEFORE.as_nanos() as u64 / 5, BEFORE.as_nanos() as u64);
        let before = between(&good, from, to) as f64 / ((to - from) as f64 / 1e9);
        let first = good.iter().find(|ended| **ended >= up).map_or(f64::INFINITY, |ended| (ended - up) as f64 / 1e6);
        let window = WINDOW.as_nanos() as u64;
        let reaches = |share: f64| {
            let enough = before * WINDOW.as_secs_f64() * share;
            let steps = (AFTER - WINDOW).as_millis() as u64 / 10;
            let step = (0..steps).find(|step| {
                let from = up + step * 10_000_000;
                between(&good, from, from + window) as f64 >= enough
            });
            // If the throughput is not reached, the time of the measurement.
            step.map_or(millis(AFTER), |step| (step * 10) as f64)
        };
        Self { before, first: first.min(millis(AFTER)), to_80: reaches(0.8), to_99: reaches(0.99) }
    }
}

fn between(sorted: &[u64], from: u64, to: u64) -> usize {
    sorted.partition_point(|at| *at < to) - sorted.partition_point(|at| *at < from)
}

/// Loans per second, against seconds since the server's return.
pub fn timeline(outcome: &Outcome, zero: Instant) -> Vec<(f64, f64)> {
    let zero = (zero - outcome.began).as_secs_f64();
    let bins = (outcome.elapsed.as_secs_f64() / BIN) as usize;
    let mut counts = vec![0; bins + 1];
    for loan in outcome.all().filter(|loan| loan.end == End::Good) {
        counts[((loan.ended as f64 / 1e9 / BIN) as usize).min(bins)] += 1;
    }
    // The last bin is incomplete.
    counts.pop();
    // A point stands for the middle of its bin: at the beginning it would show an effect before its cause.
    counts.iter().enumerate().map(|(bin, count)| ((bin as f64 + 0.5) * BIN - zero, f64::from(*count) / BIN)).collect()
}

pub const POOLS: &[&str] = &["cabrank", "r2d2", "r2d2_unchecked", "deadpool", "sqlx"];
const BEFORE: Duration = Duration::from_millis(1000);
const AWAY: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_millis(2500);
/// How long a throughput must hold.
const WINDOW: Duration = Duration::from_millis(100);
/// Seconds in one point of a timeline.
const BIN: f64 = 0.05;
