//! The connection that is lent: the driver's own, with a record of the errors met on it and of what was said.
//!
//! Owns the wrapping. What is recorded and why is `health.rs` and `traces.rs`; the queries are `queryable.rs`.

use crate::health::Health;
use crate::reset::Standing;
use crate::traces::Traces;
use crate::transaction::Transaction;
use crate::unseen;
use crate::wire::Wire;
use mysql::prelude::Queryable;
use mysql::{Conn, LocalInfileHandler, Opts, TxOpts};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A pooled MySQL or MariaDB connection. All queries go through [`mysql::prelude::Queryable`], which it implements;
/// what can be read of the driver's connection (`last_insert_id`, `affected_rows`, `server_version` ..) is there by
/// deref.
///
/// After an error that is not the server's (a time-out, a cut line, bytes that make no sense) the driver goes on and may
/// take the late reply to one command for the answer to the next. So this type remembers such an error: every later
/// command fails, and the pool closes the connection when it comes back.
pub struct Connection {
    pub(crate) driver: Conn,
    pub(crate) health: Health,
    pub(crate) traces: Traces,
    pub(crate) wire: Arc<Wire>,
    pub(crate) home: Home,
    /// How this very connection was opened: a cancel goes the same way.
    pub(crate) opts: Arc<Opts>,
}

impl Connection {
    /// The driver's own connection, for what has no other way: `"..".with(params).run(conn.raw())`, `change_user`,
    /// functions that take a `mysql::Conn`.
    ///
    /// **What it loses:** errors met through it are not seen. The holder may then be given another command's reply, and
    /// should tell the pool of such errors with `PooledConnection::report_error`. The next holder is safe: the reset
    /// notices replies that have slipped, and another user or database, unless the session policy is `Never`.
    pub fn raw(&mut self) -> &mut Conn {
        self.health.look_away();
        self.traces.lose_sight();
        &mut self.driver
    }

    /// Gives up the wrapping, on a connection that has been detached from its pool.
    pub fn into_raw(self) -> Conn {
        self.driver
    }

    /// Begins a transaction, which is rolled back when dropped.
    ///
    /// # Errors
    ///
    /// The driver's. A second transaction would end the first one silently; the borrow prevents that.
    pub fn start_transaction(&mut self, options: TxOpts) -> mysql::Result<Transaction<'_>> {
        Transaction::begin(self, &options)
    }

    /// Makes `database` the current one until the connection is returned.
    ///
    /// # Errors
    ///
    /// The driver's.
    pub fn select_db(&mut self, database: &str) -> mysql::Result<()> {
        self.ready()?;
        self.traces.doubt();
        let answer = self.driver.select_db(database);
        self.health.saw(answer)
    }

    /// One round trip.
    ///
    /// # Errors
    ///
    /// The driver's.
    pub fn ping(&mut self) -> mysql::Result<()> {
        self.ready()?;
        let answer = self.driver.ping();
        self.health.saw(answer)
    }

    /// As [`mysql::Conn::set_local_infile_handler`]; that of the options again when the connection is returned.
    pub fn set_local_infile_handler(&mut self, handler: Option<LocalInfileHandler>) {
        self.traces.doubt();
        self.driver.set_local_infile_handler(handler);
    }

    /// Was an error met after which the connection must not be used?
    pub fn is_broken(&self) -> bool {
        self.health.is_broken()
    }

    /// May a command go out?
    ///
    /// If what became of the last one was not seen, then within a transaction the server is asked first: were it rolled back,
    /// all that follows would be committed statement by statement.
    pub(crate) fn ready(&mut self) -> mysql::Result<()> {
        self.health.enter()?;
        if self.health.in_transaction() && self.traces.is_under_way() {
            unseen::ask(self)?;
        }
        self.health.enter()
    }

    /// A command that went out has ended so.
    pub(crate) fn saw<T>(&mut self, outcome: mysql::Result<T>) -> mysql::Result<T> {
        self.traces.done();
        // The next holder could ask for the number of a row, and for warnings, which quote; and what a statement that failed has
        // left, nobody tells.
        if outcome.is_err() || self.driver.last_insert_id() != 0 || self.driver.warnings() != 0 {
            self.traces.doubt();
        }
        self.health.saw(outcome)
    }

    /// Runs a statement of our own that leaves nothing which we do not know of.
    pub(crate) fn control(&mut self, statement: &str) -> mysql::Result<()> {
        self.ready()?;
        let answer = self.driver.query_drop(statement);
        if answer.is_err() {
            self.traces.doubt();
        }
        self.health.saw(answer)
    }

    /// Is the session surely as it was at the beginning of the loan? Not while the driver itself or its rows were in the
    /// holder's hands: what came of that was not seen.
    pub(crate) fn is_clean(&self) -> bool {
        let unseen = self.health.looked_away() || self.health.handed_out_rows();
        self.home.is_plain
            && self.home.standing.tells()
            && self.traces.none()
            && !unseen
            && !self.health.in_transaction()
    }

    /// Might a reply have slipped unseen? Only if the driver or its rows were in the holder's hands, and something could
    /// make it stop waiting for a reply.
    pub(crate) fn may_have_slipped(&self) -> bool {
        self.health.looked_away() || self.health.handed_out_rows() && self.opts.get_read_timeout().is_some()
    }
}

impl Deref for Connection {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.driver
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the driver's own: it shows the password.
        f.debug_struct("Connection")
            .field("connection_id", &self.driver.connection_id())
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

/// What the session was when it was opened, and is again after each reset.
#[derive(Debug, Default)]
pub(crate) struct Home {
    pub(crate) connection_id: u32,
    pub(crate) standing: Standing,
    /// Do the options' `init` statements do nothing unknown?
    pub(crate) is_plain: bool,
    /// The statement that sets the character sets back.
    pub(crate) letters: String,
}
