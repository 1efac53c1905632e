//! Assertions for the end of a test: no connection and no slot was lost.

use crate::wait::eventually;
use cabrank::{Manager, Pool, PooledConnection};
use std::time::Duration;

/// Asserts that no slot is lost: once all work under way has ended, all `max_size` connections can be held at the same time, and the
/// numbers add up.
///
/// For a pool that is not used otherwise meanwhile, and whose server is healthy. Opens missing connections.
///
/// # Panics
///
/// If a slot is lost, or a loan or a call does not end within a minute.
#[track_caller]
pub fn assert_no_leaks<M: Manager>(pool: &Pool<M>) {
    assert_no_leaks_and(pool, |_| {});
}

/// The same; `assert` also examines all connections while they are held.
#[track_caller]
pub(crate) fn assert_no_leaks_and<M: Manager>(pool: &Pool<M>, assert: impl FnOnce(&mut [PooledConnection<M>])) {
    let size = pool.stats().max_size;
    eventually("all loans and calls end", || {
        let stats = pool.stats();
        stats.in_use + stats.opening + stats.checking + stats.resetting + stats.closing + stats.aborted == 0
    });
    let mut held: Vec<_> = (0..size).map(|_| pool.get().unwrap_or_else(|error| panic!("{error:?}"))).collect();
    eventually("dead connections are removed", || pool.stats().aborted == 0);
    assert(&mut held);
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.open, stats.idle), (size, size, 0), "{stats:?}");
    assert_eq!(stats.opening + stats.checking + stats.resetting + stats.closing + stats.waiting, 0, "{stats:?}");
    assert_eq!(stats.stuck + stats.abandoned, 0, "{stats:?}");
    drop(held);
    let stats = pool.stats();
    let lent = stats.checked_out_at_once + stats.checked_out_after_waiting - stats.rejected_at_checkout;
    assert_eq!(lent, stats.returned, "each loan that began has ended: {stats:?}");
}

/// Asserts that the pool closes within ten seconds, that nothing is left, and that each opened connection was closed.
///
/// # Panics
///
/// If that is not so.
#[track_caller]
pub fn assert_closes_clean<M: Manager>(pool: &Pool<M>) {
    let report = pool.close_within(Duration::from_secs(10));
    assert!(report.is_clean(), "{report}");
    let stats = pool.stats();
    assert_eq!(stats.open + stats.opening + stats.closing + stats.aborted, 0, "{stats:?}");
    assert_eq!(stats.opened, stats.closed.total(), "each connection that was opened was closed");
}
