//! All sessions of a pool are killed at once at the server, under load: what fails, and how fast is the pool before and after?

use super::recovery::{POOLS, timeline, under_load};
use crate::load::{End, Outcome};
use crate::measure::{Bench, Point, measured, millis};
use crate::pools;
use crate::pools::{Setup, Target};
use crate::servers::Killer;
use anyhow::{Result, bail};
use std::thread;
use std::time::{Duration, Instant};

pub fn run(bench: &mut Bench) -> Result<()> {
    let point = Point { case: "killed", threads: 16, size: 8 };
    let url = match bench.servers.postgres() {
        Ok(url) => url,
        Err(error) => {
            POOLS.iter().for_each(|pool| bench.miss(point.case, pool, &format!("{error:#}")));
            return Ok(());
        }
    };
    let mut timelines = Vec::new();
    bench.rounds_anew(point, bench.pick(1, 7), POOLS, |name| {
        let setup = Setup::new(Target::Postgres(url.clone()), point.size).timeout(Duration::from_secs(3));
        let peer = pools::build(name, &setup)?;
        under_load(&*peer, Duration::from_millis(300))?;
        let mut killer = Killer::new(&url)?;
        let (outcome, killed) = thread::scope(|scope| {
            let murder = scope.spawn(move || -> Result<Instant> {
                thread::sleep(BEFORE);
                let begun = Instant::now();
                killer.kill()?;
                Ok(begun)
            });
            let outcome = under_load(&*peer, BEFORE + AFTER);
            (outcome, murder.join().expect("it does not panic"))
        });
        let (outcome, killed) = (outcome?, killed?);
        if !timelines.iter().any(|(other, _)| *other == name) {
            timelines.push((name, timeline(&outcome, killed)));
        }
        let at = killed - outcome.began;
        if at + 2 * SETTLED > BEFORE + AFTER {
            bail!("the sessions were killed too late to measure anything after");
        }
        Ok(measured([
            ("failed_gets", outcome.count(End::FailedGet) as f64),
            ("failed_queries", outcome.count(End::FailedQuery) as f64),
            ("ops_per_s_before", rate(&outcome, Duration::from_millis(200), BEFORE)),
            ("ops_per_s_after", rate(&outcome, at + SETTLED, BEFORE + AFTER)),
            ("longest_gap_ms", longest_gap(&outcome, at)),
        ]))
    });
    for (pool, points) in timelines {
        bench.curve(point, pool, points);
    }
    Ok(())
}

fn rate(outcome: &Outcome, from: Duration, to: Duration) -> f64 {
    let within = |ended: u64| (from.as_nanos()..to.as_nanos()).contains(&u128::from(ended));
    let count = outcome.all().filter(|loan| loan.end == End::Good && within(loan.ended)).count();
    count as f64 / (to - from).as_secs_f64()
}

/// The longest time without a success, from that moment on.
fn longest_gap(outcome: &Outcome, from: Duration) -> f64 {
    let from = from.saturating_sub(Duration::from_millis(50)).as_nanos() as u64;
    let good = outcome.all().filter(|loan| loan.end == End::Good && loan.ended >= from);
    let mut ends: Vec<_> = good.map(|loan| loan.ended).collect();
    ends.sort_unstable();
    let longest = ends.windows(2).map(|pair| pair[1] - pair[0]).max();
    longest.map_or(millis(AFTER), |gap| gap as f64 / 1e6)
}

const BEFORE: Duration = Duration::from_millis(700);
const AFTER: Duration = Duration::from_millis(1500);
/// After this time the pool counts as recovered.
const SETTLED: Duration = Duration::from_millis(500);
