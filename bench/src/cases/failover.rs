//! Another server takes over: a primary and its streaming standby in containers, a pair for each round of each pool, and threads or tasks
//! that write. Each pool has its best settings for that.
//!
//! The suite's tests `recovery::failover` do much the same and hold cabrank to its bounds. There the servers really change their roles;
//! here the name leads to another server and back.

use crate::load::{End, Load, Outcome, Pace, Query, Work};
use crate::measure::{Bench, Measured, Point, measured, millis};
use crate::pools;
use crate::pools::{Peer, Setup, Target};
use anyhow::{Context, Result};
use cabrank_testing::Proxy;
use integration_tests::Pair;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The primary is killed, and its standby promoted two seconds later.
pub fn killed(bench: &mut Bench) -> Result<()> {
    rounds(bench, Point { case: "failover_killed", threads: 8, size: 8 }, |pair, name, point| {
        let peer = peer(name, &pair.url_of_both(), point.size)?;
        let (outcome, promoted) = while_writing(pair, &*peer, point.threads, || {
            thread::sleep(BEFORE);
            pair.first().container().context("no container")?.kill()?;
            thread::sleep(BEFORE_PROMOTION);
            pair.promote()?;
            let promoted = Instant::now();
            thread::sleep(AFTER);
            Ok(promoted)
        })?;
        Ok(told(&outcome, promoted, None))
    })
}

/// One name leads to a standby for a while, and then to the primary again.
pub fn switchover(bench: &mut Bench) -> Result<()> {
    rounds(bench, Point { case: "failover_switchover", threads: 8, size: 8 }, |pair, name, point| {
        let the_name = Proxy::start(Pair::address(pair.first()))?;
        let peer = peer(name, &pair.url_at(the_name.address()), point.size)?;
        let (outcome, (right, left)) = while_writing(pair, &*peer, point.threads, || {
            thread::sleep(BEFORE);
            the_name.lead_to(Pair::address(pair.second()))?;
            the_name.close_all();
            thread::sleep(LAG);
            the_name.lead_to(Pair::address(pair.first()))?;
            let right = Instant::now();
            thread::sleep(AFTER);
            Ok((right, Pair::sessions(pair.second())?))
        })?;
        Ok(told(&outcome, right, Some(left)))
    })
}

/// The primary is frozen with eight writers in it, while its kernel still accepts connections. Four more writers arrive a second later,
/// and the standby is promoted two seconds after that. The figures are those of the four.
pub fn frozen(bench: &mut Bench) -> Result<()> {
    rounds(bench, Point { case: "failover_frozen", threads: 4, size: 16 }, |pair, name, point| {
        let peer = peer(name, &pair.url_of_both(), point.size)?;
        // Opens all connections.
        let pace = Pace::For(Duration::from_millis(400));
        peer.run(&Load { borrowers: 2 * point.size as usize, work: WRITE, pace })?;
        let (_, (outcome, (promoted, left))) = while_writing(pair, &*peer, HANGING, || {
            thread::sleep(BEFORE);
            pair.first().container().context("no container")?.pause()?;
            // Earlier, a writer could get a connection that was proved a moment ago, and hang like the others.
            thread::sleep(BEFORE_NEWCOMERS);
            while_writing(pair, &*peer, point.threads, || {
                thread::sleep(BEFORE_PROMOTION);
                pair.promote()?;
                let promoted = Instant::now();
                thread::sleep(AFTER);
                Ok((promoted, Pair::sockets(pair.first())))
            })
        })?;
        Ok(told(&outcome, promoted, left.map(|left| left.saturating_sub(HANGING))))
    })
}

/// A new pair for each round of each pool, because each round changes it.
fn rounds(
    bench: &mut Bench,
    point: Point,
    measure: impl Fn(&Pair, &'static str, Point) -> Result<Measured>,
) -> Result<()> {
    let mut version = None;
    bench.rounds_anew(point, bench.pick(1, 3), POOLS, |name| {
        let pair = Pair::start()?;
        version = pair.first().log_in()?.rows("SHOW server_version")?.concat().pop();
        measure(&pair, name, point)
    });
    if let Some(version) = version {
        bench.servers.note_postgres(&version);
    }
    Ok(())
}

fn peer(name: &str, url: &str, size: u32) -> Result<Box<dyn Peer>> {
    // cabrank has defaults for what the others are given here.
    let url = if name == "cabrank" { format!("{url}?{PRIMARY}") } else { format!("{url}?{PRIMARY}&{BEST}") };
    pools::build(name, &Setup::new(Target::Postgres(url), size).timeout(PATIENCE))
}

/// The outcome of the writers while `happens` runs. At its end a frozen server resumes, so no writer hangs.
fn while_writing<T>(
    pair: &Pair,
    peer: &dyn Peer,
    borrowers: usize,
    happens: impl FnOnce() -> Result<T>,
) -> Result<(Outcome, T)> {
    OVER.store(false, Ordering::Relaxed);
    let pace = Pace::Until { over: &OVER, pause: PAUSE };
    let (outcome, happened) = thread::scope(|scope| {
        let writers = scope.spawn(move || peer.run(&Load { borrowers, work: WRITE, pace }));
        let happened = happens();
        OVER.store(true, Ordering::Relaxed);
        // It fails if the server is not frozen, which does not matter.
        let _ = pair.first().container().map(|container| container.unpause());
        (writers.join().expect("it does not panic"), happened)
    });
    Ok((outcome?, happened?))
}

/// Counts loans that ended before the sessions were counted.
fn told(outcome: &Outcome, moment: Instant, at_wrong_server: Option<usize>) -> Measured {
    let moment = (moment - outcome.began).as_nanos() as u64;
    let ended = || outcome.all().filter(|loan| loan.ended < moment + AFTER.as_nanos() as u64);
    let count = |end| ended().filter(|loan| loan.end == end).count() as f64;
    let good = ended().filter(|loan| loan.end == End::Good && loan.ended >= moment).map(|loan| loan.ended).min();
    // Without a success in that time, the time itself.
    let first = good.map_or(millis(AFTER), |first| (first - moment) as f64 / 1e6);
    let mut told = measured([
        ("failed_gets", count(End::FailedGet)),
        ("failed_writes", count(End::FailedQuery)),
        ("first_success_ms", first),
    ]);
    told.extend(at_wrong_server.map(|left| ("at_wrong_server".to_owned(), left as f64)));
    told
}

static OVER: AtomicBool = AtomicBool::new(false);

const POOLS: &[&str] = &["cabrank", "r2d2", "deadpool_verified"];
const WRITE: Work = Work::Query(Query::Insert);
/// Writers that wait for the frozen server's answer.
const HANGING: usize = 8;

const PRIMARY: &str = "target_session_attrs=read-write&sslmode=disable";
/// Gives up a silent or dead host soon, and starts with a random host.
const BEST: &str = "connect_timeout=1&load_balance_hosts=random&tcp_user_timeout=3&keepalives_idle=1&keepalives_interval=1\
                    &keepalives_retries=3";
/// The time-out of `get`.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

const BEFORE: Duration = Duration::from_secs(1);
const BEFORE_NEWCOMERS: Duration = Duration::from_millis(1100);
const BEFORE_PROMOTION: Duration = Duration::from_secs(2);
const LAG: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(10);
