//! The connection that is lent: the driver's own, with a record of the errors met on it and of what was said.
//!
//! Owns the wrapping. What is recorded and why is `health.rs` and `tracker.rs`; the queries are `queryable.rs`, and what we ask the
//! server ourselves is `asking.rs`.

mod asking;

use crate::baseline::Baseline;
use crate::error::lasting;
use crate::fault::{fault, is_read_only};
use crate::health::Health;
use crate::hosts::Hosts;
use crate::questions::{ReadOnly, Writes};
use crate::role::Role;
use crate::socket::Socket;
use crate::sql::rebinds;
use crate::statements::Statements;
use crate::tracker::Tracker;
use cabrank::Fault;
use mysql::prelude::Queryable;
use mysql::{Conn, LocalInfileHandler, Opts};
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

/// A pooled MySQL or MariaDB connection. All queries go through [`mysql::prelude::Queryable`], which it implements. What the
/// last command answered (`last_insert_id`, `affected_rows` ..) is that of the present loan; what else can be read of the driver's
/// connection (`connection_id`, `server_version` ..) is there by deref.
///
/// After an error that is not the server's (a time-out, a lost connection, bytes that make no sense) the driver goes on and may
/// take the late reply to one command for the answer to the next. So this type remembers such an error: every later
/// command fails, and the pool closes the connection when it comes back.
pub struct Connection {
    pub(crate) driver: Conn,
    pub(crate) statements: Statements,
    pub(crate) health: Health,
    pub(crate) tracker: Tracker,
    pub(crate) socket: Arc<Socket>,
    pub(crate) baseline: Baseline,
    /// How this very connection was opened: a cancel goes the same way.
    pub(crate) opts: Arc<Opts>,
    /// A reset has found what it cannot undo.
    pub(crate) beyond_reset: bool,
    /// Which the server must have.
    pub(crate) role: Role,
    /// How the server is asked whether it takes writes.
    pub(crate) read_only: ReadOnly,
    /// What it last said to that.
    pub(crate) writes: Writes,
    /// `None` where it has none, or the driver shows none.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) hosts: Hosts,
}

impl Connection {
    /// The driver's own connection, for what has no other way: `"..".with(params).run(conn.raw())`, `change_user`,
    /// functions that take a `mysql::Conn`.
    ///
    /// **What it loses:** errors met through it are not seen. The holder may then be given another command's reply, and
    /// should tell the pool of such errors with `PooledConnection::report_error`. The next holder is safe: the reset
    /// notices replies that have slipped, and another user or database, unless the session policy is `Never`.
    pub fn raw(&mut self) -> &mut Conn {
        self.disown();
        self.health.look_away();
        self.tracker.lose_sight();
        self.statements.rebind();
        &mut self.driver
    }

    /// Gives up the wrapping, on a connection that has been detached from its pool.
    pub fn into_raw(mut self) -> Conn {
        self.disown();
        self.driver
    }

    /// Makes `database` the current one until the connection is returned.
    ///
    /// # Errors
    ///
    /// The driver's.
    pub fn select_db(&mut self, database: &str) -> mysql::Result<()> {
        self.ready()?;
        self.tracker.doubt();
        self.statements.rebind();
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
        self.tracker.doubt();
        self.driver.set_local_infile_handler(handler);
    }

    /// As [`mysql::Conn::last_insert_id`], and 0 until the loan's first command was answered.
    pub fn last_insert_id(&self) -> u64 {
        self.answered().map_or(0, Conn::last_insert_id)
    }

    /// As [`mysql::Conn::affected_rows`], and 0 until the loan's first command was answered.
    pub fn affected_rows(&self) -> u64 {
        self.answered().map_or(0, Conn::affected_rows)
    }

    /// As [`mysql::Conn::warnings`], and 0 until the loan's first command was answered.
    pub fn warnings(&self) -> u16 {
        self.answered().map_or(0, Conn::warnings)
    }

    /// As [`mysql::Conn::info_ref`], and empty until the loan's first command was answered.
    pub fn info_ref(&self) -> &[u8] {
        self.answered().map_or(&[], Conn::info_ref)
    }

    /// As [`mysql::Conn::info_str`], and empty until the loan's first command was answered.
    pub fn info_str(&self) -> Cow<'_, str> {
        self.answered().map_or(Cow::Borrowed(""), Conn::info_str)
    }

    /// The driver's connection, if what it shows of the last answer is the present holder's.
    fn answered(&self) -> Option<&Conn> {
        self.tracker.is_answered().then_some(&self.driver)
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
        if self.tracker.inherits_number() {
            self.forget_number()?;
        }
        if self.health.in_transaction() && self.tracker.is_under_way() {
            self.ask_errors()?;
        }
        self.health.enter()
    }

    /// Puts `LAST_INSERT_ID()` back to 0 before the first command of a loan, if an earlier holder left it a number.
    ///
    /// The number is cleared before any command, whatever its text: triggers, views and defaults of columns can read it, and no text
    /// names those. That is one round trip, after a loan that gave a row a number; a reset takes at least two, and the prepared
    /// statements with it.
    fn forget_number(&mut self) -> mysql::Result<()> {
        let answer = self.driver.query_drop(FORGET_NUMBER);
        self.health.saw(answer)?;
        self.tracker.forgot_number();
        Ok(())
    }

    /// Nothing of an earlier holder's goes along with the driver's connection. If that fails, nothing can be sent on it either.
    fn disown(&mut self) {
        if self.tracker.inherits_number() && self.health.enter().and_then(|()| self.forget_number()).is_err() {
            self.health.condemn();
            self.socket.abort();
        }
    }

    /// This text goes out.
    pub(crate) fn text(&mut self, text: &str) {
        if !self.tracker.text(text) && rebinds(text) {
            self.statements.rebind();
        }
    }

    /// A command that went out has ended so.
    pub(crate) fn saw<T>(&mut self, outcome: mysql::Result<T>) -> mysql::Result<T> {
        self.tracker.done();
        // The next holder could ask for warnings, which quote; and what a statement that failed has left, nobody tells.
        if outcome.is_err() || self.driver.warnings() != 0 {
            self.tracker.doubt();
        }
        if self.driver.last_insert_id() != 0 {
            self.tracker.numbered();
        }
        self.health.saw(outcome)
    }

    /// Runs a statement of our own that leaves nothing which we do not know of.
    pub(crate) fn control(&mut self, statement: &str) -> mysql::Result<()> {
        self.ready()?;
        self.tracker.control();
        let answer = self.driver.query_drop(statement);
        if answer.is_err() {
            self.tracker.doubt();
        }
        self.health.saw(answer)
    }

    /// Runs the statements that the options ask for on each new session. The driver would not do so after every kind of
    /// reset.
    pub(crate) fn init(&mut self) -> mysql::Result<()> {
        for statement in self.opts.get_init() {
            self.driver.query_drop(&statement).map_err(|error| {
                // A server that is read-only may take writes again, unless one is asked for that takes none.
                let may_pass = is_read_only(&error) && self.role != Role::Standby;
                match fault(&error) {
                    Fault::Statement if !may_pass => lasting(format!("`init` of the options, `{statement}`: {error}")),
                    _ => error,
                }
            })?;
            self.tracker.set_up(&statement);
        }
        Ok(())
    }

    /// Is the session surely as it was at the beginning of the loan? Not while the driver itself or its rows were in the
    /// holder's hands: what came of that was not seen.
    pub(crate) fn is_clean(&self) -> bool {
        let unseen = self.health.looked_away() || self.health.handed_out_rows();
        self.baseline.is_plain
            && self.baseline.standing.tells
            && self.tracker.is_clean()
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

/// Ends in a semicolon because another statement may follow it.
const FORGET_NUMBER: &str = "DO LAST_INSERT_ID(0);";
