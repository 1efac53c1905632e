//! The service: it owns the pool and its settings, and is all that the rest of the program sees of them. Written once for
//! every engine; the statements stay the driver's own.

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

    /// Runs `query` on a connection. The pool looks at its errors, and replaces the connection after those that end it.
    ///
    /// Reports of the pool name the caller of this, and not the line below.
    #[track_caller]
    pub(crate) fn execute_query<T>(
        &self,
        query: impl FnOnce(&mut PooledConnection<M>) -> Result<T, M::Error>,
    ) -> Result<T, RunError<M::Error, M::Error>> {
        self.pool.run(query)
    }

    /// Runs `work` in a transaction: commits if it says Ok, else rolls back; tries again if another was in the way.
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

    /// Refuses new work, waits for what is under way, and after five seconds ends it. Tells what was left.
    pub(crate) fn close(&self) -> CloseReport {
        self.pool.close_within(Duration::from_secs(5))
    }
}
