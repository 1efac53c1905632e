//! Loans that bypass the lock, against everything that each loan must see.

use super::fake::Fake;
use super::{EACH, FOREVER, LOOSE, Pool, STRICT, get, model, play, return_all, spawn, start, stats, thread};
use crate::checkin::checkin;
use crate::entry::BUSY;
use crate::meter::{Borrower, Meter};
use crate::pool::Pool as Handle;
use crate::reason::CloseReason;
use crate::shared::Held;
use crate::sync;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// A loan ends outside the lock while a borrower finds nothing and queues: the borrower is served.
#[test]
fn return_against_waiter() {
    for window in [STRICT, LOOSE] {
        model(window, 1, |pool| {
            let held = get_permitted(&pool, 1);
            let borrowers: Vec<_> = (0..EACH).map(|_| spawn(&pool, |pool| get(&pool, FOREVER).map(checkin))).collect();
            return_all(held);
            borrowers.into_iter().for_each(|borrower| borrower.join().unwrap().expect("it was returned"));
            assert_eq!(stats(&pool).idle, 1);
        });
    }
}

/// A thread takes the connection it has parked and returns it, while another empties the cells and queues: both are served.
#[test]
fn checkout_against_waiter() {
    model(LOOSE, 1, |pool| {
        return_all(get_permitted(&pool, 1));
        let borrowers: Vec<_> = (0..EACH).map(|_| spawn(&pool, |pool| get(&pool, FOREVER).map(checkin))).collect();
        get(&pool, FOREVER).map(checkin).expect("it is parked, or will be returned");
        borrowers.into_iter().for_each(|borrower| borrower.join().unwrap().expect("it is parked, or will be returned"));
        assert_eq!(stats(&pool).idle, 1);
    });
}

/// A loan ends outside the lock while all connections are evicted: its connection is evicted in either order.
#[test]
fn return_against_evict() {
    model(LOOSE, 1, |pool| {
        let held = get_permitted(&pool, 1);
        let evicting = spawn(&pool, |pool| Handle::new(pool).into_evicted());
        return_all(held);
        let handle = evicting.join().unwrap();
        let stats = stats(&pool);
        assert_eq!((stats.idle, stats.closed.by(CloseReason::Evicted)), (0, 1), "it outlived the eviction");
        drop(handle);
    });
}

/// A loan ends outside the lock while the cells are shut and opened again: it does not miss an eviction between the two.
#[test]
fn return_against_reopening() {
    model(LOOSE, 2, |pool| {
        let mut held = get_permitted(&pool, 2);
        let other = held.pop();
        let evicting = spawn(&pool, |pool| evict_and_reopen(pool, other));
        return_all(held);
        let handle = evicting.join().unwrap();
        assert_eq!(stats(&pool).closed.by(CloseReason::Evicted), 2, "it outlived the eviction");
        drop(handle);
    });
}

/// The same, and later another thread searches the cells: a connection that arrived late does not stay there.
#[test]
fn return_against_look() {
    model(LOOSE, 2, |pool| {
        let mut held = get_permitted(&pool, 2);
        let other = held.pop();
        let looking = spawn(&pool, |pool| {
            let handle = evict_and_reopen(pool.clone(), other);
            // Lets the other end its loan first, without a forced switch.
            thread::yield_now();
            // A thread with another cell does this; here all share one cell.
            let now = sync::advance(2 * BUSY);
            pool.with(now, |state, actions| state.call_rested(now, actions));
            handle
        });
        return_all(held);
        let handle = looking.join().unwrap();
        assert_eq!(stats(&pool).closed.by(CloseReason::Evicted), 2, "it outlived the eviction");
        drop(handle);
    });
}

/// The last handle is dropped and closes the pool while loans end outside the lock: no connection stays in a cell.
#[test]
fn return_against_last_handle() {
    model(LOOSE, 2 * EACH, |pool| {
        let held = get_permitted(&pool, 2 * EACH);
        let handle = Handle::new(pool.clone());
        let closing = spawn(&pool, |_| drop(handle));
        return_all(held);
        closing.join().unwrap();
        let stats = stats(&pool);
        assert_eq!((stats.open, stats.idle, stats.in_use), (0, 0, 0), "{stats:?}");
    });
}

/// Two loans end in the same cell while a borrower waits: the displaced connection serves it.
#[test]
fn two_returns_against_waiter() {
    model(LOOSE, 2, |pool| {
        let held = get_permitted(&pool, 2);
        let borrowers: Vec<_> = (0..2).map(|_| spawn(&pool, |pool| get(&pool, FOREVER))).collect();
        return_all(held);
        let loans: Vec<_> = borrowers.into_iter().map(|borrower| borrower.join().unwrap()).collect();
        assert_eq!(stats(&pool).in_use, 2);
        loans.into_iter().for_each(|loan| checkin(loan.expect("it was returned")));
    });
}

/// The pool shrinks while loans end outside the lock.
#[test]
fn resize_down_against_returns() {
    model(LOOSE, 2 * EACH, |pool| {
        let held = get_permitted(&pool, 2 * EACH);
        let smaller = spawn(&pool, |pool| {
            let handle = Handle::new(pool);
            handle.set_max_size(EACH as u32).expect("a good size");
            handle
        });
        return_all(held);
        let handle = smaller.join().unwrap();
        let stats = stats(&pool);
        assert_eq!((stats.open as usize, stats.idle as usize), (EACH, EACH), "{stats:?}");
        drop(handle);
    });
}

/// Evicts all connections, returns one of them, has a new one opened, and borrows until the cells are open again.
fn evict_and_reopen(pool: Pool, other: Option<Held<Fake>>) -> Handle<Fake> {
    let handle = Handle::new(pool.clone());
    handle.evict_all();
    other.into_iter().for_each(checkin);
    // Nobody waits for the new connection, so this thread can open it.
    while handle.try_get().expect("the pool is open").is_none() {
        while let Some(job) = pool.workers.take_now() {
            job.play();
        }
    }
    for _ in 0..2 * pool.caches.count() {
        let loan = get(&pool, FOREVER).expect("it was opened anew");
        assert!(loan.id > 2, "it was evicted before");
        checkin(loan);
    }
    handle
}

impl Handle<Fake> {
    fn into_evicted(self) -> Self {
        self.evict_all();
        self
    }
}

/// Loans with a permit, so each may end outside the lock.
fn get_permitted(pool: &Pool, count: usize) -> Vec<Held<Fake>> {
    // The cells open after a few returns, and from its second loan on a thread gets a permit.
    while !pool.caches.cell(sync::seat()).version().is_open() {
        get(pool, FOREVER).map(checkin).expect("it is idle");
    }
    let held: Vec<_> = (0..count).map(|_| get(pool, FOREVER).expect("it is idle")).collect();
    assert!(held.iter().all(|held| held.permit.is_some()));
    held
}

/// A thread reads who holds a connection while its loans end and begin outside the lock: it sees one loan, unmixed, or none.
#[test]
fn loans_against_reader() {
    play(|| {
        let (now, borrower) = (sync::now(), |thread| Borrower { call_site: Location::caller(), thread });
        let meter = Meter::new(now);
        meter.start(0, borrower(0));
        let writer = Arc::clone(&meter);
        let holder = start(move || {
            for loan in 1..3 {
                writer.end(1, true, loan);
                writer.begin(loan, borrower(loan as usize));
            }
        });
        // Two looks, because loom lets the first see only the beginning or only the end.
        for loan in [meter.loan(), meter.loan()].into_iter().flatten() {
            assert_eq!(loan.since, now + Duration::from_nanos(loan.borrower.thread as u64), "two loans are mixed");
        }
        holder.join().unwrap();
        assert_eq!(meter.loan().map(|loan| loan.borrower.thread), Some(2));
    });
}
