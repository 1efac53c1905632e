//! The races that the pool must survive, each played in all schedules by loom: the core's own code, with a driver that
//! is made up. `cargo xtask models` runs them, and then each with a bug that it must catch.
//!
//! A model's threads are borrowers, holders, and those who play the workers. A thread that waits in vain is a deadlock, at
//! which loom panics; what else must hold is said at the end of each model, and by [`Fake`] at each connect.

mod fake;

use crate::checkin::checkin;
use crate::checkout::checkout;
use crate::config::Config;
use crate::error::GetError;
use crate::shared::{Held, Hooks, Shared};
use crate::slots::Borrower;
use crate::state::actions::Delivery;
use crate::stats::Stats;
use crate::waiter::{Waiter, Wake};
use crate::{driver_calls, sync};
use fake::{Fake, Refused};
use loom::thread;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// A waiter gives up while a holder returns: one of the two has the connection, or the pool.
#[test]
fn delivery_against_cancel() {
    model(STRICT, 1, |pool| {
        let held = get(&pool, FOREVER).expect("it is idle");
        let borrower = spawn(&pool, |pool| get(&pool, AT_ONCE));
        checkin(held);
        match borrower.join().unwrap() {
            Ok(loan) => {
                assert_eq!(stats(&pool).in_use, 1);
                checkin(loan);
            }
            Err(error) => assert!(error.is_timeout(), "{error}"),
        }
        let stats = stats(&pool);
        assert_eq!((stats.idle, stats.in_use, stats.waiting), (1, 0, 0), "the connection is lost");
    });
}

/// A holder returns while a borrower finds nothing and queues: the borrower is served.
#[test]
fn return_against_enqueue() {
    for window in [STRICT, LOOSE] {
        model(window, 1, |pool| {
            let held = get(&pool, FOREVER).expect("it is idle");
            let borrower = spawn(&pool, |pool| get(&pool, FOREVER).map(checkin));
            checkin(held);
            borrower.join().unwrap().expect("it was returned");
            assert_eq!(stats(&pool).idle, 1);
        });
    }
}

/// Two holders return while two wait, within the fairness window: both are served, each without the other's help.
#[test]
fn two_returns_against_two_waiters() {
    model(LOOSE, 2, |pool| {
        let (one, other) = (get(&pool, FOREVER).expect("idle"), get(&pool, FOREVER).expect("idle"));
        let first = spawn(&pool, |pool| get(&pool, FOREVER));
        let second = spawn(&pool, |pool| get(&pool, FOREVER));
        let holder = thread::spawn(move || checkin(one));
        checkin(other);
        holder.join().unwrap();
        let loans = [first.join().unwrap(), second.join().unwrap()];
        assert_eq!(stats(&pool).in_use, 2);
        loans.into_iter().for_each(|loan| checkin(loan.expect("it was returned")));
    });
    // The first in the queue is slow to look. That holds up nobody behind it.
    model(LOOSE, 2, |pool| {
        let (one, other) = (get(&pool, FOREVER).expect("idle"), get(&pool, FOREVER).expect("idle"));
        let (waiter, now) = (Waiter::new(), sync::now());
        let wake = Wake::Thread(Arc::clone(&waiter));
        let ticket = pool.with(now, |state, _| state.queue(wake, nobody(), now)).expect("there is room");
        let second = spawn(&pool, |pool| get(&pool, FOREVER));
        let holder = thread::spawn(move || checkin(one));
        checkin(other);
        let loan = second.join().unwrap().expect("both were returned");
        let (entry, now) = loop {
            waiter.park(None);
            let now = sync::now();
            match pool.with(now, |state, actions| state.receive(&ticket, now, nobody(), actions)) {
                Some(Delivery::Connection(entry)) => break (entry, now),
                // Somebody overtook, as one may within the window.
                None => {}
                _ => panic!("the pool is open"),
            }
        };
        pool.with(now, |state, actions| state.put(entry, now, actions));
        checkin(loan);
        holder.join().unwrap();
        assert_eq!(stats(&pool).idle, 2);
    });
}

/// An attempt to connect fails while a borrower relies on it: there is another attempt, and the borrower is served.
#[test]
fn failed_connect_against_waiter() {
    model(LOOSE, 0, |pool| {
        pool.manager.refusals.store(1, SeqCst);
        // The attempt is under way for somebody who did not wait for it.
        pool.with(sync::now(), |state, _| state.want_one());
        let borrower = spawn(&pool, |pool| get(&pool, FOREVER).map(checkin));
        // The first attempt, the alarm at the end of the back-off, the second attempt.
        while stats(&pool).opened == 0 {
            driver_calls::run(pool.workers.take_or_ring().expect("the pool is open"));
        }
        borrower.join().unwrap().expect("the second attempt succeeds");
        let stats = stats(&pool);
        assert_eq!((stats.opened, stats.open_failures, stats.idle), (1, 1, 1));
    });
}

/// The pool is closed while a holder returns and a borrower queues: nobody waits on, and everything is closed.
#[test]
fn close_against_get() {
    model(LOOSE, 1, |pool| {
        let held = get(&pool, FOREVER).expect("it is idle");
        let borrower = spawn(&pool, |pool| match get(&pool, FOREVER) {
            Ok(loan) => checkin(loan),
            Err(error) => assert!(error.is_closed(), "{error}"),
        });
        let holder = thread::spawn(move || checkin(held));
        pool.close();
        borrower.join().unwrap();
        holder.join().unwrap();
        assert!(get(&pool, FOREVER).is_err_and(|error| error.is_closed()));
    });
}

/// A check's time is over while it ends: either its connection is good and it is never aborted, or it is discarded,
/// its slot is free once, and the borrower gets another.
#[test]
fn abort_against_finish() {
    model(LOOSE, 1, |pool| {
        // A look at the connection is not enough any more: it must be checked.
        pool.with(sync::now(), |state, _| state.suspect());
        let workers = spawn(&pool, |pool| {
            while let Some(job) = pool.workers.take() {
                driver_calls::run(job);
            }
        });
        let timer = spawn(&pool, |pool| {
            while let Some(job) = pool.workers.take_or_ring() {
                driver_calls::run(job);
            }
        });
        let loan = get(&pool, FOREVER).expect("this one or another");
        assert!(!loan.slotted.conn.0.aborted.load(SeqCst), "it was aborted before the loan");
        let stats = stats(&pool);
        assert_eq!((stats.open, stats.in_use), (1, 1), "slots are miscounted: {stats:?}");
        checkin(loan);
        pool.close();
        workers.join().unwrap();
        timer.join().unwrap();
    });
}

type Pool = Arc<Shared<Fake>>;

/// Plays `script` in all schedules, on a pool in which `idle` connections are idle, and afterwards closes what is left.
fn model(fairness_window: Duration, idle: usize, script: fn(Pool)) {
    loom::model(move || {
        let pool = pool(fairness_window, idle);
        script(Arc::clone(&pool));
        pool.close();
        while let Some(job) = pool.workers.take() {
            driver_calls::run(job);
        }
        pool.with(sync::now(), |state, _| assert_eq!(state.occupied(), 0, "a slot is lost"));
        assert_eq!(pool.manager.sessions.load(SeqCst), 0, "a connection is lost");
    });
}

fn pool(fairness_window: Duration, idle: usize) -> Pool {
    let max_size = idle.max(1);
    let config = Config {
        max_size: max_size as u32,
        min_idle: idle as u32,
        fairness_window,
        // No maintenance: what passes in a model takes no time.
        max_lifetime: Duration::MAX,
        idle_timeout: Duration::MAX,
        check_after: Duration::MAX,
        ..Config::default()
    };
    let hooks = Hooks {
        on_open: None,
        events: None,
        #[cfg(feature = "tracing")]
        tracing: crate::trace::Tracing::default(),
    };
    let manager = Fake { refusals: AtomicUsize::new(0), sessions: Arc::default(), max_size };
    let pool = Shared::new(manager, config, hooks, driver_calls::run);
    pool.with(sync::now(), |_, _| ());
    for _ in 0..idle {
        driver_calls::run(pool.workers.take().expect("an attempt for each"));
    }
    let now = sync::now();
    pool.with(now, |state, actions| state.resize(max_size, 0, now, actions));
    pool
}

fn spawn<T: 'static>(pool: &Pool, play: impl FnOnce(Pool) -> T + 'static) -> thread::JoinHandle<T> {
    let pool = Arc::clone(pool);
    thread::spawn(move || play(pool))
}

fn get(pool: &Pool, timeout: Duration) -> Result<Held<Fake>, GetError<Refused>> {
    checkout(pool, timeout, Location::caller())
}

fn stats(pool: &Pool) -> Stats {
    pool.with(sync::now(), |state, _| state.stats())
}

fn nobody() -> Borrower {
    Borrower { call_site: Location::caller(), thread: 0 }
}

/// Connections go from hand to hand: a waiter comes first.
const STRICT: Duration = Duration::ZERO;
/// Connections become idle, and the first to come takes one.
const LOOSE: Duration = Duration::MAX;

const FOREVER: Duration = Duration::MAX;
/// Waits, but not for long: the deadline has passed by the time of the first look.
const AT_ONCE: Duration = Duration::from_nanos(1);
