//! The end of a pool, against whatever still goes on.

use super::{AT_ONCE, EACH, FOREVER, LOOSE, get, get_idle, model, return_all, spawn, spawn_worker};
use crate::checkin::checkin;
use crate::guard::PooledConnection;
use crate::pool::Pool as Handle;
use std::sync::atomic::Ordering::SeqCst;

/// The pool is closed while a holder returns and a borrower queues: nobody waits on, and everything is closed.
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

/// The time to close is over while a holder returns: its connection is cancelled and aborted, or goes in peace; in either case
/// its slot is free once.
#[test]
fn cancel_against_finish_against_close() {
    model(LOOSE, EACH, |pool| {
        let held = get_idle(&pool, EACH);
        let worker = spawn_worker(&pool);
        let holder = spawn(&pool, |_| return_all(held));
        let report = Handle::new(pool.clone()).close_within(AT_ONCE);
        assert!(report.left.len() <= EACH && report.aborted.len() <= EACH, "{report}");
        holder.join().unwrap();
        worker.join().unwrap();
    });
}

/// A holder keeps its connection for good while the pool closes: the pool does not wait for it any more, nor touches it.
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
