//! The races that the pool must survive, each played in all schedules by loom, and with a crowd in thousands of random
//! ones by shuttle: the core's own code, with a driver that is made up. `cargo xtask models` runs them, and then each with
//! a bug that it must catch.
//!
//! A model's threads are borrowers, holders, and those who play the workers. A thread that waits in vain is a deadlock, which
//! the player notices; what else must hold is said at the end of each model, and by [`Fake`] at each connect. This file owns the
//! players and what all models share.

mod calls;
mod cancelling;
mod closing;
mod fake;
mod fast;
mod loans;
mod tasks;
mod token;
mod workers;

use crate::checkin::checkin;
use crate::checkout::checkout;
use crate::config::Config;
use crate::error::GetError;
use crate::shared::{Held, Hooks, PoolRef, Shared};
use crate::stats::Stats;
use crate::workers::WorkerSet;
use crate::{driver_calls, sync};
use fake::{Fake, Refused};
#[cfg(not(shuttle))]
use loom::thread;
#[cfg(shuttle)]
use shuttle::thread;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use thread::JoinHandle;

type Pool = Arc<Shared<Fake>>;

/// Plays `script` in all schedules, on a pool in which `idle` connections are idle, and afterwards closes what is left.
fn model(fairness_window: Duration, idle: usize, script: fn(Pool)) {
    play(move || {
        let pool = pool(fairness_window, idle);
        script(Arc::clone(&pool));
        pool.close();
        while let Some(job) = pool.workers.take() {
            job.play();
        }
        pool.with(sync::now(), |state, _| assert_eq!(state.occupied(), 0, "a slot is lost"));
        assert_eq!(pool.manager.sessions.load(SeqCst), 0, "a connection is lost");
    });
}

/// All schedules with no more than `LOOM_MAX_PREEMPTIONS` forced switches.
#[cfg(not(shuttle))]
fn play(script: impl Fn() + Send + Sync + 'static) {
    let script = Arc::new(script);
    loom::model(move || {
        let script = Arc::clone(&script);
        start(move || script()).join().unwrap();
    });
}

/// Starts a thread. loom's own are small: a pool on the stack does not fit.
#[cfg(not(shuttle))]
fn start<T: Send + 'static>(part: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new().stack_size(STACK).spawn(part).expect("a model's threads are few")
}

#[cfg(shuttle)]
fn start<T: Send + 'static>(part: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(part)
}

/// `CABRANK_SCHEDULES` schedules: one half random, one half by PCT, which finds each bug of a given depth with a known
/// probability.
#[cfg(shuttle)]
fn play(script: impl Fn() + Send + Sync + 'static) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    let schedules = std::env::var("CABRANK_SCHEDULES").map_or(2_000, |number| number.parse().expect("a number"));
    let script = Arc::new(script);
    let again = Arc::clone(&script);
    shuttle::Runner::new(RandomScheduler::new(schedules / 2), shuttle::Config::default()).run(move || script());
    let pct = PctScheduler::new(PCT_DEPTH, schedules - schedules / 2);
    shuttle::Runner::new(pct, shuttle::Config::default()).run(move || again());
}

fn pool(fairness_window: Duration, idle: usize) -> Pool {
    // A set of its own, which the model's threads play.
    pool_on(&WorkerSet::new(Duration::MAX), Config { fairness_window, ..config() }, idle)
}

fn config() -> Config {
    Config {
        // No maintenance: what passes in a model takes no time.
        max_lifetime: Duration::MAX,
        idle_timeout: Duration::MAX,
        check_after: Duration::MAX,
        ..Config::default()
    }
}

fn pool_on(set: &WorkerSet, config: Config, idle: usize) -> Pool {
    let max_size = idle.max(1);
    let config = Config { max_size: max_size as u32, min_idle: idle as u32, ..config };
    let pool = Shared::new(Fake::new(max_size), config, Hooks::default(), set, driver_calls::run);
    pool.with(sync::now(), |_, _| ());
    for _ in 0..idle {
        pool.workers.take().expect("an attempt for each").play();
    }
    let now = sync::now();
    pool.with(now, |state, actions| state.resize(max_size, 0, now, actions));
    pool
}

fn spawn<T: Send + 'static>(pool: &Pool, play: impl FnOnce(Pool) -> T + Send + 'static) -> JoinHandle<T> {
    let pool = Arc::clone(pool);
    start(move || play(pool))
}

/// Does the workers' jobs, and nothing else, until the pool has none any more.
fn spawn_worker(pool: &Pool) -> JoinHandle<()> {
    spawn(pool, |pool| {
        while let Some(job) = pool.workers.take() {
            job.play();
        }
    })
}

/// Does the workers' jobs, and lets time pass when there is none.
fn spawn_timer(pool: &Pool) -> JoinHandle<()> {
    spawn(pool, |pool| {
        while let Some(part) = pool.workers.take_or_ring() {
            part.play();
        }
    })
}

/// Takes what is idle: so many connections.
fn get_idle(pool: &Pool, count: usize) -> Vec<Held<Fake>> {
    (0..count).map(|_| get(pool, FOREVER).expect("it is idle")).collect()
}

/// Returns the first in this thread, and each other in a thread of its own.
fn return_all(held: Vec<Held<Fake>>) {
    let mut held = held.into_iter();
    let own = held.next();
    let holders: Vec<_> = held.map(|held| start(move || checkin(held))).collect();
    own.into_iter().for_each(checkin);
    holders.into_iter().for_each(|holder| holder.join().unwrap());
}

fn get(pool: &Pool, timeout: Duration) -> Result<Held<Fake>, GetError<Refused>> {
    checkout(&PoolRef::new(Arc::clone(pool)), timeout, Location::caller())
}

fn stats(pool: &Pool) -> Stats {
    pool.with(sync::now(), |state, _| state.stats())
}

/// How many play each part. loom looks at every schedule of a few threads, shuttle at some of the schedules of many.
const EACH: usize = if cfg!(shuttle) { 4 } else { 1 };

/// Connections go from hand to hand: a waiter comes first.
const STRICT: Duration = Duration::ZERO;
/// Connections become idle, and the first to come takes one.
const LOOSE: Duration = Duration::MAX;

const FOREVER: Duration = Duration::MAX;
/// Waits, but not for long: the deadline has passed by the time of the first look.
const AT_ONCE: Duration = Duration::from_nanos(1);

/// In words, not bytes.
#[cfg(not(shuttle))]
const STACK: usize = 0x4000;

/// How many changes of priority PCT makes in a schedule.
#[cfg(shuttle)]
const PCT_DEPTH: usize = 3;
