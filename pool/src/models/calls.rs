//! Driver calls and their limits, against the waiters that depend on their results.

use super::fake::Fake;
use super::{EACH, FOREVER, LOOSE, Pool, get, get_idle, model, return_all, spawn, spawn_timer, spawn_worker, stats};
use crate::checkin::checkin;
use crate::pool::Pool as Handle;
use crate::reason::CloseReason;
use crate::shared::Held;
use crate::sync;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// An attempt to connect fails, by an error or by its limit, while a borrower relies on it: it is counted once, another attempt follows,
/// and the borrower is served.
#[test]
fn failed_connect_against_waiter() {
    model(LOOSE, 0, |pool| {
        pool.manager.refusals.store(1, SeqCst);
        // The attempt was ordered for a borrower that did not wait for it.
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

/// The limit of a check passes while the check ends: either its connection is good and never aborted, or it is discarded, its slot is
/// released once, and the borrower gets another.
#[test]
fn abort_against_finish() {
    model(LOOSE, EACH, |pool| {
        // A look is no longer enough: the connection must be checked.
        pool.with(sync::now(), |state, _| state.suspect(sync::now()));
        let workers: Vec<_> = (0..EACH).map(|_| spawn_worker(&pool)).collect();
        let timer = spawn_timer(&pool);
        let loans = borrow_all(&pool);
        let stats = stats(&pool);
        assert_eq!((stats.open as usize, stats.in_use as usize), (EACH, EACH), "slots are miscounted: {stats:?}");
        loans.into_iter().for_each(checkin);
        pool.close();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        timer.join().unwrap();
    });
}

/// The limit of a reset passes while the reset ends and a borrower waits: the waiter gets this connection or its replacement, and neither
/// is aborted.
#[test]
fn late_reset_against_waiter() {
    model(LOOSE, EACH, |pool| {
        let held = get_idle(&pool, EACH);
        held.iter().for_each(|held| held.touched.store(true, SeqCst));
        let workers: Vec<_> = (0..EACH).map(|_| spawn_worker(&pool)).collect();
        let timer = spawn_timer(&pool);
        return_all(held);
        let loans = borrow_all(&pool);
        let stats = stats(&pool);
        assert_eq!((stats.open as usize, stats.in_use as usize), (EACH, EACH), "slots are miscounted: {stats:?}");
        loans.into_iter().for_each(checkin);
        pool.close();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        timer.join().unwrap();
    });
}

/// A look-up that cannot be aborted returns while its thread is written off: either the attempt continues and counts, or its slot is
/// released and it opens nothing.
#[test]
fn write_off_against_return() {
    model(LOOSE, 0, |pool| {
        pool.manager.looks_up.store(true, SeqCst);
        pool.with(sync::now(), |state, _| state.want_one());
        let worker = spawn_worker(&pool);
        let timer = spawn_timer(&pool);
        let borrowers: Vec<_> =
            (1..2 * EACH - 1).map(|_| spawn(&pool, |pool| get(&pool, FOREVER).map(checkin))).collect();
        get(&pool, FOREVER).map(checkin).expect("one attempt succeeds");
        borrowers.into_iter().for_each(|borrower| borrower.join().unwrap().expect("so does this"));
        pool.close();
        worker.join().unwrap();
        timer.join().unwrap();
    });
}

/// An attempt fails permanently while another thread, having fixed the cause, evicts all: the earlier waiters may be refused or served,
/// and a borrower that comes after the eviction is served.
#[test]
fn refused_waiter_against_delivery() {
    model(LOOSE, 0, |pool| {
        pool.manager.refusals.store(1, SeqCst);
        pool.manager.refuses_for_good.store(true, SeqCst);
        pool.with(sync::now(), |state, _| state.want_one());
        let worker = spawn_timer(&pool);
        let borrowers: Vec<_> =
            (0..2 * EACH - 1).map(|_| spawn(&pool, |pool| get(&pool, FOREVER).map(checkin))).collect();
        let handle = Handle::new(pool.clone()).evicted();
        get(&pool, FOREVER).map(checkin).expect("the cause was fixed");
        let refused = borrowers.into_iter().map(|borrower| borrower.join().unwrap()).filter(Result::is_err);
        let refused = refused.count();
        drop(handle);
        worker.join().unwrap();
        let stats = stats(&pool);
        let served = stats.checked_out_at_once + stats.checked_out_after_waiting;
        assert_eq!((stats.refused, served), (refused as u64, (2 * EACH - refused) as u64), "{stats:?}");
    });
}

/// All connections are evicted while one is being opened: its opening began before the eviction, so it is closed as well.
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

/// As many borrowers as `max_size`. None gets a connection that was aborted.
fn borrow_all(pool: &Pool) -> Vec<Held<Fake>> {
    let borrow = |pool| {
        let loan = get(&pool, FOREVER).expect("this one or another");
        assert!(!loan.slotted.conn.0.aborted.load(SeqCst), "it was aborted before the loan");
        loan
    };
    let borrowers: Vec<_> = (1..EACH).map(|_| spawn(pool, borrow)).collect();
    let own = borrow(Arc::clone(pool));
    borrowers.into_iter().map(|borrower| borrower.join().unwrap()).chain([own]).collect()
}

impl Handle<Fake> {
    fn evicted(self) -> Self {
        self.evict_all();
        self
    }
}
