//! The interface to an engine and its adapter. The suite depends on nothing else of them.

use crate::watch::Watch;
use cabrank::{Builder, Manager, Pool, PooledConnection, Transact};
use integration_tests::{Database, Engine};
use std::time::Duration;
use url::Url;

pub(crate) type Conn<S> = <<S as Subject>::Manager as Manager>::Connection;
pub(crate) type Error<S> = <<S as Subject>::Manager as Manager>::Error;
pub(crate) type Guard<S> = PooledConnection<<S as Subject>::Manager>;
pub(crate) type SubjectPool<S> = Pool<<S as Subject>::Manager>;

/// An engine with its adapter.
pub(crate) trait Subject: Sized + Send + Sync + 'static {
    const ENGINE: Engine;

    /// Statements that soil a session, each with a query for a number, which is the same after a reset as in a new session.
    const DIRT: &'static [(&'static str, &'static str)];
    /// A statement that runs for at least a minute unless it is cancelled.
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
    /// The watch that counts at the server during the test; `None` without a server.
    fn watch(&self) -> Option<&Watch>;
    /// The number of the pool's sessions in the database, counted from outside.
    fn sessions(&self) -> usize;

    /// A pool with a test's settings; the others are defaults, with short waits.
    fn pool(&self, set: impl FnOnce(Builder<Self::Manager>) -> Builder<Self::Manager>) -> SubjectPool<Self> {
        self.build(self.manager(), set)
    }

    /// The same with the test's own manager.
    fn build(
        &self,
        manager: Self::Manager,
        set: impl FnOnce(Builder<Self::Manager>) -> Builder<Self::Manager>,
    ) -> SubjectPool<Self> {
        let builder = self.usual();
        let pool = set(builder).build(manager).expect("a pool on a server that is there");
        self.watch().inspect(|watch| watch.allow(pool.config().max_size));
        pool
    }

    /// Defaults with short waits, and the watch at the server.
    fn usual(&self) -> Builder<Self::Manager> {
        let builder = Pool::builder().acquire_timeout(Duration::from_secs(10));
        match self.watch() {
            Some(watch) => builder.event_handler(watch.ledger()),
            None => builder,
        }
    }
}

/// An engine behind a network, with a server that lists its sessions.
pub(crate) trait Remote: Subject {
    /// A query for the server's id of the current session.
    const WHO: &'static str;
    /// A statement that ends on its own after three seconds.
    const SOME_SECONDS: &'static str;
    /// Makes the server end the session once it has been idle for two seconds.
    const IDLE_LIMIT: &'static str;

    fn database(&self) -> &Database;
    /// A manager that queries the URL before each connect: for other ways to the same database, and other passwords.
    fn manager_asking(url: impl Fn() -> Url + Send + Sync + 'static) -> Self::Manager;

    /// A manager whose driver gives up on an answer after 50 ms, if it can.
    fn hasty_manager(url: Url) -> Self::Manager;
    /// Leaves a requested answer unread: rows that contain this number.
    fn walk_away(conn: &mut Conn<Self>, number: i64);

    /// A manager that reaches the same database by another URL, or as another user.
    fn manager_by(url: Url) -> Self::Manager {
        Self::manager_asking(move || url.clone())
    }

    /// A pool with such a manager.
    fn pool_by(
        &self,
        url: Url,
        set: impl FnOnce(Builder<Self::Manager>) -> Builder<Self::Manager>,
    ) -> SubjectPool<Self> {
        self.build(Self::manager_by(url), set)
    }

    /// The number of the pool's statements that run at the server.
    fn running(&self) -> i64 {
        let mut admin = self.database().server().log_in().expect("a server that is there");
        admin.running(self.database().name()).expect("the right to see what runs")
    }

    /// Ends these sessions from the server's side.
    fn kill(&self, sessions: &[i64]) {
        let mut admin = self.database().server().log_in().expect("a server that is there");
        sessions.iter().for_each(|&session| admin.kill(session).expect("the right to end a session"));
    }
}
