//! The connection on loan: the driver's own, with a record of its errors and commands.
//!
//! Owns the wrapper. The records are in `health.rs` and `tracker.rs`, the holder's queries in `queryable/`, the adapter's in `asking.rs`.

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

/// A pooled MySQL or MariaDB connection. All queries go through [`mysql::prelude::Queryable`], which it implements. The answer to the
/// last command (`last_insert_id`, `affected_rows` ..) is limited to the present loan; other properties of the driver's connection
/// (`connection_id`, `server_version` ..) are available by deref.
///
/// After an error that is not the server's (a time-out, a lost connection, invalid bytes) the driver goes on and may take the late
/// reply to one command for the answer to the next. This type therefore records such an error: every later command fails, and the pool
/// closes the connection on return.
///
/// ```no_run
/// use cabrank_mysql::mysql::prelude::Queryable;
/// use cabrank_mysql::{MySqlManager, Pool};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().build(MySqlManager::from_url("mysql://app:secret@localhost/shop")?)?;
///
/// let mut conn = pool.get()?;
/// conn.exec_drop("INSERT INTO account (money) VALUES (?)", (100,))?;
/// let id = conn.last_insert_id();
/// let money: Option<i64> = conn.exec_first("SELECT money FROM account WHERE id = ?", (id,))?;
/// # let _ = money;
/// # Ok(())
/// # }
/// ```
pub struct Connection {
    pub(crate) driver: Conn,
    pub(crate) statements: Statements,
    pub(crate) health: Health,
    pub(crate) tracker: Tracker,
    pub(crate) socket: Arc<Socket>,
    pub(crate) baseline: Baseline,
    /// The options that this connection was opened with; a cancel uses them too.
    pub(crate) opts: Arc<Opts>,
    /// A reset has found something that it cannot undo.
    pub(crate) beyond_reset: bool,
    /// The required role of the server.
    pub(crate) role: Role,
    /// How to query whether the server accepts writes.
    pub(crate) read_only: ReadOnly,
    /// Its last answer to that.
    pub(crate) writes: Writes,
    /// `None` if it has none, or the driver does not expose it.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) hosts: Hosts,
}

impl Connection {
    /// Returns the driver's own connection, for operations available only there: `"..".with(params).run(conn.raw())`, `change_user`,
    /// functions that take a `mysql::Conn`.
    ///
    /// **Drawback:** this type does not see errors met through it. The holder may then get another command's reply, and should report
    /// such errors with `PooledConnection::report_error`. The next holder is safe: the reset detects shifted replies, and another user
    /// or database, unless the session policy is `Never`.
    pub fn raw(&mut self) -> &mut Conn {
        self.disown();
        self.health.look_away();
        self.tracker.lose_sight();
        self.statements.rebind();
        &mut self.driver
    }

    /// Unwraps a connection that was detached from its pool.
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

    /// Makes one round trip.
    ///
    /// # Errors
    ///
    /// The driver's.
    pub fn ping(&mut self) -> mysql::Result<()> {
        self.ready()?;
        let answer = self.driver.ping();
        self.health.saw(answer)
    }

    /// Like [`mysql::Conn::set_local_infile_handler`]; the options' own handler is restored on return.
    pub fn set_local_infile_handler(&mut self, handler: Option<LocalInfileHandler>) {
        self.tracker.doubt();
        self.driver.set_local_infile_handler(handler);
    }

    /// Like [`mysql::Conn::last_insert_id`], but 0 until the loan's first command was answered.
    pub fn last_insert_id(&self) -> u64 {
        self.answered().map_or(0, Conn::last_insert_id)
    }

    /// Like [`mysql::Conn::affected_rows`], but 0 until the loan's first command was answered.
    pub fn affected_rows(&self) -> u64 {
        self.answered().map_or(0, Conn::affected_rows)
    }

    /// Like [`mysql::Conn::warnings`], but 0 until the loan's first command was answered.
    pub fn warnings(&self) -> u16 {
        self.answered().map_or(0, Conn::warnings)
    }

    /// Like [`mysql::Conn::info_ref`], but empty until the loan's first command was answered.
    pub fn info_ref(&self) -> &[u8] {
        self.answered().map_or(&[], Conn::info_ref)
    }

    /// Like [`mysql::Conn::info_str`], but empty until the loan's first command was answered.
    pub fn info_str(&self) -> Cow<'_, str> {
        self.answered().map_or(Cow::Borrowed(""), Conn::info_str)
    }

    /// The driver's connection, if its last answer belongs to the present holder.
    fn answered(&self) -> Option<&Conn> {
        self.tracker.is_answered().then_some(&self.driver)
    }

    /// Returns whether an error has made the connection unusable.
    pub fn is_broken(&self) -> bool {
        self.health.is_broken()
    }

    /// Returns an error if no command may be sent.
    ///
    /// If the outcome of the last command was not seen within a transaction, this queries the server first: after a rollback, all later
    /// commands would be committed one by one.
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

    /// Sets `LAST_INSERT_ID()` back to 0 before the first command of a loan, if an earlier holder left a number.
    ///
    /// The number is cleared before any command, whatever its text: triggers, views and column defaults can read it, and no text names
    /// those. This costs one round trip, after a loan that gave a row a number; a reset takes at least two, and drops the prepared
    /// statements.
    fn forget_number(&mut self) -> mysql::Result<()> {
        let answer = self.driver.query_drop(FORGET_NUMBER);
        self.health.saw(answer)?;
        self.tracker.forgot_number();
        Ok(())
    }

    /// Keeps an earlier holder's state from leaving with the driver's connection. If that fails, nothing can be sent on it either.
    fn disown(&mut self) {
        if self.tracker.inherits_number() && self.health.enter().and_then(|()| self.forget_number()).is_err() {
            self.health.condemn();
            self.socket.abort();
        }
    }

    /// This text is sent.
    pub(crate) fn text(&mut self, text: &str) {
        if !self.tracker.text(text) && rebinds(text) {
            self.statements.rebind();
        }
    }

    /// Records the outcome of a command that was sent.
    pub(crate) fn saw<T>(&mut self, outcome: mysql::Result<T>) -> mysql::Result<T> {
        self.tracker.done();
        // The next holder could query warnings, which contain quotes of data; and the effects of a failed statement are unknown.
        if outcome.is_err() || self.driver.warnings() != 0 {
            self.tracker.doubt();
        }
        if self.driver.last_insert_id() != 0 {
            self.tracker.numbered();
        }
        self.health.saw(outcome)
    }

    /// Runs our own statement, whose effects are all known.
    pub(crate) fn control(&mut self, statement: &str) -> mysql::Result<()> {
        self.ready()?;
        self.tracker.control();
        let answer = self.driver.query_drop(statement);
        if answer.is_err() {
            self.tracker.doubt();
        }
        self.health.saw(answer)
    }

    /// Runs the `init` statements of the options, which the driver would not run after every kind of reset.
    pub(crate) fn init(&mut self) -> mysql::Result<()> {
        for statement in self.opts.get_init() {
            self.driver.query_drop(&statement).map_err(|error| {
                // A read-only server may accept writes again, unless a read-only one is required.
                let may_pass = is_read_only(&error) && self.role != Role::Standby;
                match fault(&error) {
                    Fault::Statement if !may_pass => {
                        lasting(format!("the `init` statement `{statement}` failed: {error}"))
                    }
                    _ => error,
                }
            })?;
            self.tracker.set_up(&statement);
        }
        Ok(())
    }

    /// Whether the session is certainly as at the beginning of the loan. It is not while the holder had the driver itself or its rows,
    /// whose effects are not seen.
    pub(crate) fn is_clean(&self) -> bool {
        let unseen = self.health.looked_away() || self.health.handed_out_rows();
        self.baseline.is_plain
            && self.baseline.standing.texts_are_reliable
            && self.tracker.is_clean()
            && !unseen
            && !self.health.in_transaction()
    }

    /// Whether replies may have shifted unseen. They may only if the holder had the driver or its rows, and something could end the wait
    /// for a reply.
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
        // Not the driver's own, which shows the password.
        f.debug_struct("Connection")
            .field("connection_id", &self.driver.connection_id())
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

/// Ends in a semicolon because another statement may follow.
const FORGET_NUMBER: &str = "DO LAST_INSERT_ID(0);";
