//! What the suite must be able to ask of an engine and its adapter. The suite is written against this alone.

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
    /// Counts at the server while the test runs; `None` where there is none.
    fn watch(&self) -> Option<&Watch>;
    /// How many sessions the pool has in the database, seen from outside of it.
    fn sessions(&self) -> usize;

    /// A pool with settings of a test's choice; what is not chosen is as usual, but nothing waits for long.
    fn pool(&self, set: impl FnOnce(Builder<Self::Manager>) -> Builder<Self::Manager>) -> SubjectPool<Self> {
        self.build(self.manager(), set)
    }

    /// The same with a manager of the test's choice.
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

    /// As usual, but nobody waits for long, and the server is looked at meanwhile.
    fn usual(&self) -> Builder<Self::Manager> {
        let builder = Pool::builder().acquire_timeout(Duration::from_secs(10));
        match self.watch() {
            Some(watch) => builder.event_handler(watch.ledger()),
            None => builder,
        }
    }
}

/// An engine behind a network, with a server that can be asked who is there.
pub(crate) trait Remote: Subject {
    /// The number by which the server calls the session that asks.
    const WHO: &'static str;
    /// A statement that ends by itself after three seconds.
    const SOME_SECONDS: &'static str;
    /// Has the server end the session once it was idle for two seconds.
    const IDLE_LIMIT: &'static str;

    fn database(&self) -> &Database;
    /// A manager that asks for the URL before each connect: for other ways to the same database, and other passwords.
    fn manager_asking(url: impl Fn() -> Url + Send + Sync + 'static) -> Self::Manager;

    /// A manager whose driver gives up on an answer after 50 ms, if it can.
    fn hasty_manager(url: Url) -> Self::Manager;
    /// Leaves an answer behind that was asked for: rows with this number in them.
    fn walk_away(conn: &mut Conn<Self>, number: i64);

    /// A manager that goes another way to the same database, or as somebody else.
    fn manager_by(url: Url) -> Self::Manager {
        Self::manager_asking(move || url.clone())
    }

    /// A pool that goes another way.
    fn pool_by(
        &self,
        url: Url,
        set: impl FnOnce(Builder<Self::Manager>) -> Builder<Self::Manager>,
    ) -> SubjectPool<Self> {
        self.build(Self::manager_by(url), set)
    }

    /// How many statements of the pool's run at the server.
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
