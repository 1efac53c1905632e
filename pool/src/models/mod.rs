//! The races that the pool must survive. loom plays each in all schedules, and shuttle plays it with more threads in thousands of random
//! ones. They run the core's own code on a fake driver. `cargo xtask models` runs them, and then runs each with a seeded bug that it must
//! catch.
//!
//! A model's threads are borrowers, holders, and players of the workers. A thread that waits forever is a deadlock, which loom and
//! shuttle report. The end of each model asserts everything else; [`Fake`] asserts at each connect. This file contains the players, and
//! what all models share.

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

/// Plays `script` in all schedules, on a pool with `idle` idle connections, and then closes what is left.
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

/// All schedules with at most `LOOM_MAX_PREEMPTIONS` forced switches.
#[cfg(not(shuttle))]
fn play(script: impl Fn() + Send + Sync + 'static) {
    let script = Arc::new(script);
    loom::model(move || {
        let script = Arc::clone(&script);
        start(move || script()).join().unwrap();
    });
}

/// Starts a thread with a larger stack than loom's default, which is too small for a pool.
#[cfg(not(shuttle))]
fn start<T: Send + 'static>(part: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new().stack_size(STACK).spawn(part).expect("a model's threads are few")
}

#[cfg(shuttle)]
fn start<T: Send + 'static>(part: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(part)
}

/// `CABRANK_SCHEDULES` schedules: half of them random, half by PCT, which finds each bug of a given depth with a known probability.
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
    // Its own set of workers, which the model's threads play.
    pool_on(&WorkerSet::new(Duration::MAX), Config { fairness_window, ..config() }, idle)
}

fn config() -> Config {
    Config {
        // No maintenance: a model takes no time.
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

/// Runs the workers' jobs, and nothing else, until the pool has no more.
fn spawn_worker(pool: &Pool) -> JoinHandle<()> {
    spawn(pool, |pool| {
        while let Some(job) = pool.workers.take() {
            job.play();
        }
    })
}

/// Runs the workers' jobs, and lets time pass when there is none.
fn spawn_timer(pool: &Pool) -> JoinHandle<()> {
    spawn(pool, |pool| {
        while let Some(part) = pool.workers.take_or_ring() {
            part.play();
        }
    })
}

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

/// The number of players of each part. loom explores every schedule of a few threads, shuttle some of the schedules of many.
const EACH: usize = if cfg!(shuttle) { 4 } else { 1 };

/// Each connection goes straight to the next waiter.
const STRICT: Duration = Duration::ZERO;
/// Connections become idle, and the first borrower to come takes one.
const LOOSE: Duration = Duration::MAX;

const FOREVER: Duration = Duration::MAX;
/// Waits, but briefly: the deadline has passed by the time of the first look.
const AT_ONCE: Duration = Duration::from_nanos(1);

/// In words, not bytes.
#[cfg(not(shuttle))]
const STACK: usize = 0x4000;

/// How often PCT changes a priority in a schedule.
#[cfg(shuttle)]
const PCT_DEPTH: usize = 3;
