//! Shared by the tests: pools with short limits, and loans. The test kit has everything of more general use.

use cabrank::{Builder, CloseReason};
use cabrank_testing::fake::{FakeManager, FakeServer};
use std::time::Duration;

pub(crate) type Pool = cabrank::Pool<FakeManager>;
pub(crate) type Guard = cabrank::PooledConnection<FakeManager>;

/// The tolerance of a guarantee about time.
pub(crate) const SLACK: Duration = Duration::from_millis(250);

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Defaults, except that a failed test does not wait for half a minute.
pub(crate) fn builder() -> Builder<FakeManager> {
    Pool::builder().acquire_timeout(Duration::from_secs(10))
}

/// A pool of this size with nothing open yet.
pub(crate) fn pool_of(server: &FakeServer, max_size: u32) -> Pool {
    server.allow(max_size as usize);
    builder().max_size(max_size).build_lazy(server.manager()).unwrap()
}

/// Checks out `count` connections at once.
#[track_caller]
pub(crate) fn hold<const R: bool>(
    pool: &cabrank::Pool<FakeManager<R>>,
    count: u32,
) -> Vec<cabrank::PooledConnection<FakeManager<R>>> {
    (0..count).map(|_| pool.get().unwrap_or_else(|error| panic!("{error:?}"))).collect()
}

/// The number of connections closed for this reason.
pub(crate) fn closed_by<const R: bool>(pool: &cabrank::Pool<FakeManager<R>>, reason: CloseReason) -> u64 {
    pool.stats().closed.by(reason)
}
