//! The service: it owns the pool and its settings, and the rest of the program sees neither. Written once for all engines; the
//! statements are in the style of each driver.

use cabrank::{BuildError, CloseReport, Pool, PooledConnection, RunError, Stats, Transact, TransactionError};
use std::time::Duration;

pub(crate) struct DatabaseService<M: Transact> {
    pool: Pool<M>,
}

impl<M: Transact> DatabaseService<M> {
    pub(crate) fn open(manager: M) -> Result<Self, BuildError<M::Error>> {
        let builder = Pool::builder().name("service").max_size(4).acquire_timeout(Duration::from_secs(10));
        Ok(Self { pool: builder.from_env("DB_POOL_")?.build(manager)? })
    }

    /// Runs `query` on a connection. If it fails with an error that makes the connection unusable, the pool closes the connection.
    ///
    /// With `#[track_caller]` the pool's reports name the caller of this function, and not the line below.
    #[track_caller]
    pub(crate) fn execute_query<T>(
        &self,
        query: impl FnOnce(&mut PooledConnection<M>) -> Result<T, M::Error>,
    ) -> Result<T, RunError<M::Error, M::Error>> {
        self.pool.run(query)
    }

    /// Runs `work` in a transaction: commits if it returns `Ok`, and otherwise rolls back. Retries conflicts up to ten times.
    #[track_caller]
    pub(crate) fn execute_transaction<T>(
        &self,
        work: impl FnMut(&mut M::Transaction<'_>) -> Result<T, M::Error>,
    ) -> Result<T, TransactionError<M::Error, M::Error>> {
        self.pool.transaction().retries(10).run(work)
    }

    pub(crate) fn stats(&self) -> Stats {
        self.pool.stats()
    }

    /// Refuses new work, waits up to five seconds for running work, and then aborts it. Returns what is left.
    pub(crate) fn close(&self) -> CloseReport {
        self.pool.close_within(Duration::from_secs(5))
    }
}
