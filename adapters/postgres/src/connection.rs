//! The connection on loan: the driver's client, and its state for as long as it lives.
//!
//! Owns the wrapper and the cache of statements. `reset.rs` resets sessions.

use crate::connector::Connector;
use crate::error::{RoleError, SettingsError, provoke};
use crate::hosts::{Hosts, Place};
use crate::role::{Role, STANDING, Said};
use crate::statements::Statements;
use crate::tap::Tap;
use crate::tokens::Tokens;
use crate::tracker::Standing;
use postgres::error::SqlState;
use postgres::{Client, Error, SimpleQueryMessage, Statement};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;
use std::{fmt, io};

/// A pooled PostgreSQL connection. Derefs to [`postgres::Client`].
///
/// ```no_run
/// use cabrank_postgres::postgres::NoTls;
/// use cabrank_postgres::{Pool, PostgresManager};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().build(PostgresManager::from_url("postgres://app:secret@localhost/shop", NoTls)?)?;
///
/// let mut conn = pool.get()?;
/// conn.execute("UPDATE account SET money = 0 WHERE id = $1", &[&7])?; // a method of the driver's client
/// let select = conn.prepare_cached("SELECT money FROM account WHERE id = $1")?; // prepared once per connection
/// let money: i64 = conn.query_one(&select, &[&7])?.get(0);
/// # let _ = money;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// A connection that was detached from its pool or opened by [`PostgresManager::open`](crate::PostgresManager::open) panics when it is
/// used or dropped in an async context, as the driver's client does. The guard of a pooled one may be dropped anywhere.
pub struct Connection {
    /// Before the statements, to be dropped first: the server frees them all at the end of the session.
    pub(crate) client: Client,
    pub(crate) statements: Statements,
    /// `None` where the driver gives no access to the stream.
    pub(crate) tap: Option<Arc<Tap>>,
    /// For a second connection by the same route.
    pub(crate) connector: Connector,
    /// A holder or a hook had the client since the last reset.
    pub(crate) used: bool,
    /// Shared with the tokens handed out.
    pub(crate) tokens: Arc<Tokens>,
    /// A pooler lends the sessions, by the transaction.
    pub(crate) transaction_pooler: bool,
    /// A reset has found something that it cannot undo, or a cancellation may still arrive.
    pub(crate) beyond_reset: bool,
    /// When last examined it had data that its holder had not read.
    pub(crate) left_unread: bool,
    /// The required role of the server.
    pub(crate) role: Role,
    /// The server's place.
    pub(crate) place: Place,
    pub(crate) hosts: Hosts,
}

impl Connection {
    /// Returns the driver's own client, for functions that require it. Do not swap it with another connection's: neither would be
    /// tracked any more.
    pub fn client(&mut self) -> &mut Client {
        self.used = true;
        self.forget_outdated();
        &mut self.client
    }

    /// Prepares `sql`, or returns the statement that this connection has cached for it, without a round trip.
    ///
    /// The driver prepares a text again each time it is passed to `query` or `execute`, which doubles the round trips. Statements survive
    /// the reset between loans; when there are more than the manager's [`statement_cache`](crate::PostgresManager::statement_cache)
    /// allows, the least recently used is dropped. Behind a transaction pooler nothing is cached unless that was chosen.
    ///
    /// A statement is not cached while the session differs from the beginning of the loan (a setting, a temporary table), nor in a
    /// transaction after `SET LOCAL`, because it may have another meaning for the next holder.
    ///
    /// After a schema change the server may refuse a statement that it prepared before: "cached plan must not change result type"
    /// (`0A000`), "cache lookup failed" (`XX000`), or a type mismatch. The first such error on any connection makes all connections of
    /// the manager prepare again, and so costs one error at most. The first two mean [`Fault::Retry`](cabrank::Fault::Retry), which
    /// `pool.transaction().retries(1)` retries. (Over a Unix socket the error must reach the pool, by `run`, a transaction or
    /// `report_error`.)
    ///
    /// The driver's cached types are dropped with the statements. A type that got a field, a value or another name (`ALTER TYPE`) causes
    /// no error at the server. Therefore a value that does not fit the program's type (the driver's
    /// [`WrongType`](postgres::types::WrongType)) also makes all connections prepare again, at most once a second, if the error reaches
    /// the pool.
    ///
    /// # Errors
    ///
    /// The driver's, if the server does not accept `sql`.
    pub fn prepare_cached(&mut self, sql: &str) -> Result<Statement, Error> {
        self.forget_outdated();
        self.statements.prepare(sql, self.tap.as_deref(), || self.client.prepare(sql))
    }

    /// Drops the statements that [`prepare_cached`](Self::prepare_cached) has cached.
    pub fn clear_statement_cache(&mut self) {
        self.statements.clear();
    }

    /// Returns the process id of the session at the server, as in `pg_stat_activity`. `None` over a Unix socket.
    pub fn backend_pid(&self) -> Option<i32> {
        self.tap().and_then(|tap| tap.tracker().pid())
    }

    /// Returns the SQLSTATE with which the server ended the session, if it did and the driver has read it.
    pub fn fatal(&self) -> Option<String> {
        let code = self.tap()?.fatal()?;
        Some(String::from_utf8_lossy(&code).into_owned())
    }

    /// Fails if the server lacks the required role. Queries the server unless the wire shows the right role: a pooler may show the state
    /// of an earlier server, so the adapter queries before it refuses.
    pub(crate) fn check_role(&mut self) -> Result<(), Error> {
        let shown = self.shown();
        if self.role.suits(shown) == Some(true) {
            return self.judge(&Said::by(shown));
        }
        let said = Said::of(&self.client.simple_query(STANDING)?);
        self.judge(&said)
    }

    /// The same check after the set-up of the session, since a hook may have made it read-only. If the wire does not show that, this
    /// queries a session that a hook has used, unless it is a pooler's.
    pub(crate) fn check_set_up(&mut self) -> Result<(), Error> {
        let suits = self.role.suits(self.shown());
        if !self.used || suits == Some(true) || suits.is_none() && self.transaction_pooler {
            return Ok(());
        }
        let said = Said::of(&self.client.simple_query(STANDING)?);
        if self.role == Role::Primary && said.is_read_only_by_set() {
            let error = SettingsError("`on_open` has set default_transaction_read_only, but a primary is required");
            return Err(provoke(io::Error::other(error)));
        }
        self.judge(&said)
    }

    /// Fails if this report shows a server without the required role.
    pub(crate) fn judge(&self, said: &Said) -> Result<(), Error> {
        let (role, place) = (self.role, &self.place);
        if role == Role::Any {
            return Ok(());
        }
        let refuses_writes = self.hosts.heard(place, said.standing, Instant::now());
        if role.suits(said.standing) != Some(false) {
            return Ok(());
        }
        let why = match refuses_writes {
            Some(why) if role == Role::Primary => format!("{why}{}", said.whence()),
            _ => format!("the server {place} is not in recovery"),
        };
        let error = RoleError(format!("{why}, but {} is required", role.name()));
        Err(provoke(io::Error::other(error)))
    }

    /// The standing that the server has shown on the wire. Behind a pooler it may be that of an earlier server.
    pub(crate) fn shown(&self) -> Standing {
        let tap = self.tap().filter(|_| !self.transaction_pooler);
        tap.map(|tap| tap.tracker().standing()).unwrap_or_default()
    }

    /// Whether the reset must query the server's role, because the wire does not show the right one, or because a write was refused.
    pub(crate) fn doubts_role(&self) -> bool {
        self.role.suits(self.shown()) != Some(true) || self.refused_write()
    }

    /// Whether a write was refused since the last reset, although a primary is required.
    pub(crate) fn refused_write(&self) -> bool {
        self.role == Role::Primary && self.tap().is_some_and(|tap| tap.tracker().refused_write())
    }

    /// Drops what was cached before a schema change: statements, and the driver's types. A type keeps its number when a field, a value or
    /// a name of it changes.
    pub(crate) fn forget_outdated(&mut self) {
        if self.statements.forget_outdated() {
            self.client.clear_type_cache();
        }
    }

    /// Asks the server whether a transaction is open, including a failed one: then the transaction clock stops.
    pub(crate) fn ask_transaction(&mut self) -> Result<bool, Error> {
        let answer = match self.client.simple_query(IN_TRANSACTION) {
            Err(error) if error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => return Ok(true),
            answer => answer?,
        };
        Ok(answer.iter().any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("t"))))
    }

    /// Invalidates the last loan's tokens. Returns whether one was used.
    pub(crate) fn ends_cancelled(&mut self) -> bool {
        if Arc::strong_count(&self.tokens) == 1 {
            return self.tokens.was_used();
        }
        std::mem::take(&mut self.tokens).end()
    }

    pub(crate) fn tap(&self) -> Option<&Tap> {
        self.tap.as_deref()
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Client {
        self.client()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("backend_pid", &self.backend_pid())
            .field("is_closed", &self.client.is_closed())
            .field("statements", &self.statements.len())
            .finish_non_exhaustive()
    }
}

const IN_TRANSACTION: &str = "SELECT pg_catalog.statement_timestamp() <> pg_catalog.transaction_timestamp()";
