//! What typed transactions need of a driver.

use super::Manager;

/// Typed transactions: what [`Pool::transaction`](crate::Pool::transaction) needs of a driver.
pub trait Transact: Manager {
    /// The driver's transaction: the outermost one, and those nested in it.
    type Transaction<'c>;
    /// The driver's own transaction options; the default begins the driver's usual transaction.
    type Options: Clone + Default + Send + Sync;

    /// Begins a transaction. Called in the caller's thread, as are the others.
    fn begin<'c>(
        &self,
        conn: &'c mut Self::Connection,
        options: &Self::Options,
    ) -> Result<Self::Transaction<'c>, Self::Error>;

    /// Commits. Must fail if the server turned the commit into a rollback.
    fn commit(&self, transaction: Self::Transaction<'_>) -> Result<(), Self::Error>;

    /// Rolls back.
    fn rollback(&self, transaction: Self::Transaction<'_>) -> Result<(), Self::Error>;

    /// Runs `work` in a transaction nested in `outer`: between a savepoint and its release. An adapter also offers this as a
    /// method of its transactions, by which closures call it.
    ///
    /// If `work` fails or panics, what it did is rolled back to the savepoint, and `outer` goes on. If the savepoint can be neither
    /// released nor rolled back to, `outer` must not commit any more: [`commit`](Self::commit) then fails.
    ///
    /// Nothing is tried again here. An error that means [`Fault::Retry`](crate::Fault::Retry) concerns the whole transaction: passed on
    /// by the closures, it reaches the pool, which runs the outermost one anew.
    ///
    /// # Errors
    ///
    /// That of `work`, as it is. The driver's, if the savepoint cannot be set (`work` then does not run) or released.
    fn nested<T, E: From<Self::Error>>(
        outer: &mut Self::Transaction<'_>,
        work: impl FnOnce(&mut Self::Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E>;
}
