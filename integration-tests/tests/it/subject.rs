//! What the suite must be able to ask of an engine and its adapter. The suite is written against this alone.

use std::time::Duration;

use cabrank::{Builder, Manager, Pool, PooledConnection, Transact};
use integration_tests::Engine;

pub(crate) type Conn<S> = <<S as Subject>::Manager as Manager>::Connection;
pub(crate) type Error<S> = <<S as Subject>::Manager as Manager>::Error;
pub(crate) type Guard<S> = PooledConnection<<S as Subject>::Manager>;
pub(crate) type SubjectPool<S> = Pool<<S as Subject>::Manager>;

/// An engine with its adapter.
pub(crate) trait Subject: Sized + Send + Sync + 'static {
    const ENGINE: Engine;

    /// Statements that soil a session, each with one that gives a number: after a reset the same as in a new session.
    const DIRT: &'static [(&'static str, &'static str)];
    /// A statement that runs for a minute and more unless it is cancelled.
    const ENDLESS: &'static str;

    type Manager: Transact;

    /// A database for one test, with the table `account (id, money)` and the one row `(1, 0)`.
    fn new() -> Self;
    fn manager(&self) -> Self::Manager;
    fn execute(conn: &mut Conn<Self>, sql: &str) -> Result<(), Error<Self>>;
    fn number(conn: &mut Conn<Self>, sql: &str) -> Result<i64, Error<Self>>;
    fn execute_in(transaction: &mut <Self::Manager as Transact>::Transaction<'_>, sql: &str)
    -> Result<(), Error<Self>>;
    fn number_in(transaction: &mut <Self::Manager as Transact>::Transaction<'_>, sql: &str)
    -> Result<i64, Error<Self>>;
    /// The options under which transactions that read and then write are serializable.
    fn serializable() -> <Self::Manager as Transact>::Options;
    /// How many sessions there are in the database, seen from outside the pool.
    fn sessions(&self) -> i64;

    /// A pool with settings of a test's choice; what is not chosen is as usual, but nothing waits for long.
    fn pool(&self, set: impl FnOnce(Builder<Self::Manager>) -> Builder<Self::Manager>) -> SubjectPool<Self> {
        let usual = Pool::builder().acquire_timeout(Duration::from_secs(10));
        set(usual).build(self.manager()).expect("a pool on a server that is there")
    }
}
