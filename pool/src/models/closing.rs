//! The end of a pool, against everything still under way.

use super::{
    AT_ONCE, EACH, FOREVER, LOOSE, config, get, get_idle, model, play, pool_on, return_all, spawn, spawn_worker, start,
    thread,
};
use crate::checkin::checkin;
use crate::config::Config;
use crate::guard::PooledConnection;
use crate::pool::Pool as Handle;
use crate::workers::{Part, WorkerSet, Workers};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// The pool is closed while a holder returns and a borrower queues: no one keeps waiting, and everything is closed.
#[test]
fn close_against_get() {
    model(LOOSE, EACH, |pool| {
        let held = get_idle(&pool, EACH);
        let borrow = |pool| match get(&pool, FOREVER) {
            Ok(loan) => checkin(loan),
            Err(error) => assert!(error.is_closed(), "{error}"),
        };
        let borrowers: Vec<_> = (0..EACH).map(|_| spawn(&pool, borrow)).collect();
        let holder = spawn(&pool, |_| return_all(held));
        pool.close();
        borrowers.into_iter().for_each(|borrower| borrower.join().unwrap());
        holder.join().unwrap();
        assert!(get(&pool, FOREVER).is_err_and(|error| error.is_closed()));
    });
}

/// The deadline of a close passes while a holder returns: its connection is either cancelled and aborted, or closed normally; in both
/// cases its slot is released once.
#[test]
fn cancel_against_finish_against_close() {
    model(LOOSE, 2 * EACH - 1, |pool| {
        let held = get_idle(&pool, 2 * EACH - 1);
        let worker = spawn_worker(&pool);
        let holder = spawn(&pool, |_| return_all(held));
        let report = Handle::new(pool.clone()).close_within(AT_ONCE);
        assert!(report.left.len() < 2 * EACH && report.aborted.len() < 2 * EACH, "{report}");
        holder.join().unwrap();
        worker.join().unwrap();
    });
}

/// A holder detaches its connection while the pool closes: the pool neither waits for it nor touches it.
#[test]
fn detach_against_close() {
    model(LOOSE, 2 * EACH, |pool| {
        let held = get_idle(&pool, 2 * EACH);
        let holders: Vec<_> = held
            .into_iter()
            .map(|held| spawn(&pool, |_| PooledConnection::detach(PooledConnection::new(held))))
            .collect();
        let report = Handle::new(pool.clone()).close_within(FOREVER);
        assert!(report.is_clean(), "{report}");
        let kept: Vec<_> = holders.into_iter().map(|holder| holder.join().unwrap()).collect();
        assert!(kept.iter().all(|conn| !conn.0.aborted.load(SeqCst)), "it was aborted");
    });
}

/// Two threads close the pool and wait for its end while a worker closes a connection: both are woken at the end, and nothing is left.
#[test]
fn close_within_and_its_watchers() {
    model(LOOSE, EACH, |pool| {
        let watchers: Vec<_> =
            (0..2 * EACH - 1).map(|_| spawn(&pool, |pool| Handle::new(pool).close_within(FOREVER))).collect();
        let worker = spawn_worker(&pool);
        let own = Handle::new(pool.clone()).close_within(FOREVER);
        let reports = watchers.into_iter().map(|watcher| watcher.join().unwrap()).chain([own]);
        reports.for_each(|report| assert!(report.is_clean(), "{report}"));
        worker.join().unwrap();
    });
}

/// The last handle is dropped while the last loan ends and an alarm rings: the manager is dropped once, and never by the timer, because
/// its destructor is the user's code.
#[test]
fn last_handle_against_last_guard() {
    play(|| {
        let set = WorkerSet::new(Duration::MAX);
        let stage = Arc::new(Workers::<()>::new(&set, drop));
        let pool = pool_on(&set, Config { idle_timeout: Duration::from_secs(60), ..config() }, 2 * EACH - 1);
        let dropped_by = Arc::clone(&pool.manager.dropped_by);
        let held = get_idle(&pool, 2 * EACH - 1);
        let handle = Handle::new(pool);
        let (timers, workers) = (Arc::clone(&stage), Arc::clone(&stage));
        let timer = start(move || {
            timers.ring_now().into_iter().for_each(Part::play);
            thread::current().id()
        });
        let worker = start(move || {
            while let Some(job) = workers.take() {
                job.play();
            }
        });
        let holder = start(move || return_all(held));
        drop(handle);
        holder.join().unwrap();
        stage.wind_down();
        worker.join().unwrap();
        let timer = timer.join().unwrap();
        // The job that the timer left to a worker.
        stage.take().into_iter().for_each(Part::play);
        let dropped_by = dropped_by.lock().unwrap();
        assert_eq!(dropped_by.len(), 1, "the manager is dropped once");
        assert_ne!(dropped_by[0], timer, "the timer has dropped the manager");
    });
}
