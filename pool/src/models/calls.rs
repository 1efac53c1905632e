//! Driver calls, their limits, and those who wait for what they bring.

use super::{EACH, FOREVER, LOOSE, get, model, spawn, spawn_timer, spawn_worker, stats};
use crate::checkin::checkin;
use crate::pool::Pool as Handle;
use crate::reason::CloseReason;
use crate::sync;
use std::sync::atomic::Ordering::SeqCst;

/// An attempt to connect fails, in its own words or by its limit, while a borrower relies on it: it is counted once, there is
/// another attempt, and the borrower is served.
#[test]
fn failed_connect_against_waiter() {
    model(LOOSE, 0, |pool| {
        pool.manager.refusals.store(1, SeqCst);
        // The attempt is under way for somebody who did not wait for it.
        pool.with(sync::now(), |state, _| state.want_one());
        let worker = spawn_worker(&pool);
        let timer = spawn_timer(&pool);
        let borrowers: Vec<_> =
            (1..2 * EACH - 1).map(|_| spawn(&pool, |pool| get(&pool, FOREVER).map(checkin))).collect();
        get(&pool, FOREVER).map(checkin).expect("another attempt succeeds");
        borrowers.into_iter().for_each(|borrower| borrower.join().unwrap().expect("so does this"));
        pool.close();
        worker.join().unwrap();
        timer.join().unwrap();
        let stats = stats(&pool);
        assert_eq!(stats.opened + stats.open_failures, pool.manager.attempts.load(SeqCst) as u64, "{stats:?}");
    });
}

/// A check's time is over while it ends: either its connection is good and it is never aborted, or it is discarded,
/// its slot is free once, and the borrower gets another.
#[test]
fn abort_against_finish() {
    model(LOOSE, 1, |pool| {
        // A look at the connection is not enough any more: it must be checked.
        pool.with(sync::now(), |state, _| state.suspect());
        let workers: Vec<_> = (0..2 * EACH - 1).map(|_| spawn_worker(&pool)).collect();
        let timer = spawn_timer(&pool);
        let loan = get(&pool, FOREVER).expect("this one or another");
        assert!(!loan.slotted.conn.0.aborted.load(SeqCst), "it was aborted before the loan");
        let stats = stats(&pool);
        assert_eq!((stats.open, stats.in_use), (1, 1), "slots are miscounted: {stats:?}");
        checkin(loan);
        pool.close();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        timer.join().unwrap();
    });
}

/// Everything is evicted while a connection is being opened: it was asked for before that, so it is closed as well.
#[test]
fn evict_against_opening() {
    model(LOOSE, 0, |pool| {
        pool.with(sync::now(), |state, _| state.want_one());
        let worker = spawn(&pool, |pool| pool.workers.take().expect("the pool is open").play());
        let others: Vec<_> = (1..2 * EACH).map(|_| spawn(&pool, |pool| Handle::new(pool).evicted())).collect();
        let handle = Handle::new(pool.clone()).evicted();
        worker.join().unwrap();
        let others: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
        let stats = stats(&pool);
        assert_eq!((stats.idle, stats.closed.by(CloseReason::Evicted)), (0, 1), "it outlived the eviction");
        drop((handle, others));
    });
}

impl Handle<super::Fake> {
    fn evicted(self) -> Self {
        self.evict_all();
        self
    }
}
