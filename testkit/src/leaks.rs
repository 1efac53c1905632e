//! How a test ends: by showing that no connection and no slot was lost.

use crate::wait::eventually;
use cabrank::{Manager, Pool, PooledConnection};
use std::time::Duration;

/// No slot is lost: once what is under way is over, all `max_size` connections can be held at the same time, and the numbers add up.
///
/// For a pool that nobody else uses meanwhile, and whose server is well. Opens what is missing.
///
/// # Panics
///
/// If a slot is lost, or nothing comes back within a minute.
#[track_caller]
pub fn assert_no_leaks<M: Manager>(pool: &Pool<M>) {
    assert_no_leaks_and(pool, |_| {});
}

/// The same; and `assert` looks at all the connections while they are held.
#[track_caller]
pub(crate) fn assert_no_leaks_and<M: Manager>(pool: &Pool<M>, assert: impl FnOnce(&mut [PooledConnection<M>])) {
    let size = pool.stats().max_size;
    eventually("what was lent or worked on comes back", || {
        let stats = pool.stats();
        stats.in_use + stats.opening + stats.checking + stats.resetting + stats.closing + stats.aborted == 0
    });
    let mut held: Vec<_> = (0..size).map(|_| pool.get().unwrap_or_else(|error| panic!("{error:?}"))).collect();
    eventually("what was found dead meanwhile is gone", || pool.stats().aborted == 0);
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

/// Closes the pool within ten seconds: nothing is left, and each connection that was opened was closed.
///
/// # Panics
///
/// If something is left.
#[track_caller]
pub fn assert_closes_clean<M: Manager>(pool: &Pool<M>) {
    let report = pool.close_within(Duration::from_secs(10));
    assert!(report.is_clean(), "{report}");
    let stats = pool.stats();
    assert_eq!(stats.open + stats.opening + stats.closing + stats.aborted, 0, "{stats:?}");
    assert_eq!(stats.opened, stats.closed.total(), "each connection that was opened was closed");
}
