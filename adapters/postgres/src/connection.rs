//! The connection that is lent: the driver's client, and what belongs to it for as long as it lives.
//!
//! Owns the wrapping and the cache of statements. How sessions are reset is `reset.rs`.

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
/// # Panics
///
/// One that was detached from its pool or opened by [`PostgresManager::open`](crate::PostgresManager::open) panics when it is used
/// or dropped in an async context, as the driver's client does. The guard of a pooled one may be dropped anywhere.
pub struct Connection {
    /// Before the statements, so that it is dropped first: the server forgets them all when the session ends.
    pub(crate) client: Client,
    pub(crate) statements: Statements,
    /// `None` where the driver gives no access to the stream.
    pub(crate) tap: Option<Arc<Tap>>,
    /// For a second connection by the same way.
    pub(crate) connector: Connector,
    /// The client was in the hands of a holder or a hook since the session was last new.
    pub(crate) used: bool,
    /// What the tokens handed out share with this.
    pub(crate) tokens: Arc<Tokens>,
    /// Somebody else lends the sessions, by the transaction.
    pub(crate) transaction_pooler: bool,
    /// A reset has found what it cannot undo, or a cancellation may still arrive.
    pub(crate) beyond_reset: bool,
    /// At the last look there was something that its holder had not read.
    pub(crate) left_unread: bool,
    /// Which the server must have.
    pub(crate) role: Role,
    /// Where it leads to.
    pub(crate) place: Place,
    pub(crate) hosts: Hosts,
}

impl Connection {
    /// The driver's own client, where a function wants just that. It must stay where it is: swapped with another's, neither
    /// is watched any more.
    pub fn client(&mut self) -> &mut Client {
        self.used = true;
        self.forget_outdated();
        &mut self.client
    }

    /// Prepares `sql`, or finds the statement that this connection has kept of it: no round trip then.
    ///
    /// The driver prepares a text anew each time it is passed to `query` or `execute`, which doubles the round trips.
    /// Statements survive the reset between loans; the least recently used goes when there are more than the manager's
    /// [`statement_cache`](crate::PostgresManager::statement_cache) allows. Behind a transaction pooler
    /// nothing is kept unless that was chosen.
    ///
    /// While the session is not as it was at the beginning of the loan (a setting, a temporary table), and in a transaction
    /// after `SET LOCAL`, what is prepared is not kept: it may mean something else to the next holder.
    ///
    /// After the schema has changed the server may refuse a statement that it prepared before: "cached plan must not change
    /// result type" (`0A000`), "cache lookup failed" (`XX000`), or a type that does not fit. The first such error on any
    /// connection of the manager has all of them prepare anew, so that it costs one error at most. The first two mean
    /// [`Fault::Retry`](cabrank::Fault::Retry): `pool.transaction().retries(1)` passes over them. (Over a Unix socket the
    /// error must reach the pool, by `run`, a transaction or `report_error`.)
    ///
    /// What the driver has learnt of types is forgotten with the statements. A type that got a field, a value or another name
    /// (`ALTER TYPE`) makes no error at the server. So a value that fits no type of the program's (the driver's
    /// [`WrongType`](postgres::types::WrongType)) has all connections prepare anew, too, once a second at most, if the error reaches
    /// the pool.
    ///
    /// # Errors
    ///
    /// The driver's, if the server does not accept `sql`.
    pub fn prepare_cached(&mut self, sql: &str) -> Result<Statement, Error> {
        self.forget_outdated();
        self.statements.prepare(sql, self.tap.as_deref(), || self.client.prepare(sql))
    }

    /// Forgets the statements that [`prepare_cached`](Self::prepare_cached) has kept.
    pub fn clear_statement_cache(&mut self) {
        self.statements.clear();
    }

    /// The process id of the session at the server, as in `pg_stat_activity`. `None` over a Unix socket.
    pub fn backend_pid(&self) -> Option<i32> {
        self.tap().and_then(|tap| tap.tracker().pid())
    }

    /// The SQLSTATE with which the server has ended the session, if it has and the driver has read it.
    pub fn fatal(&self) -> Option<String> {
        let code = self.tap()?.fatal()?;
        Some(String::from_utf8_lossy(&code).into_owned())
    }

    /// Fails if the server has another role than is asked for. It is asked, unless the wire shows that it has the right one: what a pooler
    /// shows may be what its server was once, so that a refusal is worth a question.
    pub(crate) fn check_role(&mut self) -> Result<(), Error> {
        let shown = self.shown();
        if self.role.suits(shown) == Some(true) {
            return self.judge(&Said::by(shown));
        }
        let said = Said::of(&self.client.simple_query(STANDING)?);
        self.judge(&said)
    }

    /// The same after the session was set up: a hook may have made it read-only. Where the wire does not show that, a session that a
    /// hook has had is asked, unless it is a pooler's.
    pub(crate) fn check_set_up(&mut self) -> Result<(), Error> {
        let suits = self.role.suits(self.shown());
        if !self.used || suits == Some(true) || suits.is_none() && self.transaction_pooler {
            return Ok(());
        }
        let said = Said::of(&self.client.simple_query(STANDING)?);
        if self.role == Role::Primary && said.is_read_only_by_set() {
            let error = SettingsError("`on_open` has set default_transaction_read_only, and a primary is asked for");
            return Err(provoke(io::Error::other(error)));
        }
        self.judge(&said)
    }

    /// Fails if a server that has said this has another role than is asked for.
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
        let error = RoleError(format!("{why}, and {} is asked for", role.name()));
        Err(provoke(io::Error::other(error)))
    }

    /// What the server has shown of its standing. Behind a pooler that may be what another server was.
    pub(crate) fn shown(&self) -> Standing {
        let tap = self.tap().filter(|_| !self.transaction_pooler);
        tap.map(|tap| tap.tracker().standing()).unwrap_or_default()
    }

    /// Must the reset ask the server for its role, because the wire does not show that it is right, or because a write was refused?
    pub(crate) fn doubts_role(&self) -> bool {
        self.role.suits(self.shown()) != Some(true) || self.refused_write()
    }

    /// Was a write refused since the session was last new, though a primary is asked for?
    pub(crate) fn refused_write(&self) -> bool {
        self.role == Role::Primary && self.tap().is_some_and(|tap| tap.tracker().refused_write())
    }

    /// What was learnt of the schema before it changed is learnt anew: statements, and the driver's picture of types. A type keeps its
    /// number when a field, a value or a name of it changes.
    pub(crate) fn forget_outdated(&mut self) {
        if self.statements.forget_outdated() {
            self.client.clear_type_cache();
        }
    }

    /// Asks the server whether a transaction is open, one that has failed included: then the clock of transactions stands still.
    pub(crate) fn ask_transaction(&mut self) -> Result<bool, Error> {
        let answer = match self.client.simple_query(IN_TRANSACTION) {
            Err(error) if error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => return Ok(true),
            answer => answer?,
        };
        Ok(answer.iter().any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("t"))))
    }

    /// Between two loans: tokens of the last are of no use any more. Was one used?
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
