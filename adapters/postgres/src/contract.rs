//! The contract with the pool: maps each of the pool's calls to its file.
//!
//! Longer steps are in `open/`, `reset.rs`, `abort.rs` and `fault/`.

use crate::abort::PostgresAbortHandle;
use crate::connection::Connection;
use crate::manager::PostgresManager;
use crate::role::Role;
use crate::source::Source;
use crate::tap::Tap;
use crate::{fault, open, reset};
use cabrank::{AbortHandle, Fault, Limit, Manager, SessionState};
use postgres::Error;
use std::error::Error as StdError;
use std::time::{Duration, Instant};

impl Manager for PostgresManager {
    type Connection = Connection;
    type Error = Error;

    /// Settings from a callback have none.
    fn default_name(&self) -> Option<String> {
        match &self.source {
            Source::Fixed(config) => open::name_of_database(config),
            Source::Asked(_) => None,
        }
    }

    fn connect(&self, limit: &Limit) -> Result<Connection, Error> {
        open::open(self, Some(limit))
    }

    fn is_valid(&self, conn: &mut Connection, limit: &Limit) -> Result<(), Error> {
        // If the connection can be aborted, the pool alone decides when: after a suspension of this process, an answer that came
        // meanwhile counts.
        let bound = if conn.tap().is_some() { None } else { limit.remaining() };
        conn.client.is_valid(bound.unwrap_or(NO_LIMIT))?;
        conn.check_role()
    }

    /// Based on what the driver has read. Nothing reads while a connection is idle, so a death shows only at the next use or check.
    fn has_broken(&self, conn: &mut Connection) -> bool {
        // With `SessionPolicy::Never` the session was not examined since the last call.
        let was_passed_over = conn.beyond_reset || conn.left_unread && conn.is_stuck();
        conn.beyond_reset |= conn.ends_cancelled();
        conn.left_unread = conn.tap().is_some_and(Tap::has_unread);
        was_passed_over || conn.client.is_closed() || conn.tap().is_some_and(|tap| tap.is_over())
    }

    fn session(&self, conn: &mut Connection) -> SessionState {
        if conn.beyond_reset {
            return SessionState::BeyondReset;
        }
        match conn.tap().map_or(SessionState::Unknown, |tap| tap.session(conn.transaction_pooler)) {
            // The reset queries the role.
            SessionState::Clean if conn.refused_write() => SessionState::Unknown,
            session => session,
        }
    }

    fn reset(&self, conn: &mut Connection, limit: &Limit) -> Result<(), Error> {
        conn.beyond_reset = conn.beyond_reset || !reset::reset(conn, limit)?;
        Ok(())
    }

    /// If the wire is not tracked, this queries the server once if `on_open` has used the connection, and once more for a required role.
    fn check_set_up(&self, conn: &mut Connection, _: &Limit) -> Result<SessionState, Error> {
        let session = match self.session(conn) {
            _ if conn.tap.is_none() && conn.used && conn.ask_transaction()? => SessionState::InTransaction,
            session => session,
        };
        if session != SessionState::InTransaction {
            conn.check_set_up()?;
        }
        Ok(session)
    }

    fn start_tracking(&self, conn: &mut Connection) {
        if let Some(tap) = conn.tap() {
            tap.tracker().start_tracking();
        }
    }

    /// The driver says goodbye once all its requests are answered; then the stream waits for the server to close the connection.
    fn close(&self, mut conn: Connection, limit: &Limit) {
        let ended = conn.end_unread(limit);
        if let Some(tap) = conn.tap() {
            if ended.is_err() {
                tap.socket.abort();
            }
            tap.socket.linger();
        }
        let Connection { client, statements, tap, .. } = conn;
        // Fails if the connection is aborted or dead, which also ends it.
        let _ = client.close();
        drop((statements, tap));
    }

    /// Without tracking of the wire, this is where a schema change shows; a changed type shows nowhere else.
    fn fault(&self, error: &Error) -> Fault {
        if error.as_db_error().is_some_and(fault::is_stale) {
            self.changes.noticed();
        } else if fault::is_of_type(error) {
            self.changes.doubted();
        }
        fault::fault(error)
    }

    fn fault_of_source(&self, source: &(dyn StdError + 'static)) -> Option<Fault> {
        let refusal = source.downcast_ref()?;
        if fault::is_stale(refusal) {
            self.changes.noticed();
        }
        Some(fault::of_refusal(refusal))
    }

    /// If a role is required, a server without it is an error.
    fn remark(&self, conn: &Connection) -> Option<String> {
        let worth_a_word = || self.hosts.remark(&conn.place, conn.shown(), Instant::now());
        (conn.role == Role::Any).then(worth_a_word).flatten()
    }

    fn abort_handle(&self, conn: &Connection) -> Option<Box<dyn AbortHandle>> {
        Some(Box::new(PostgresAbortHandle::of(conn)))
    }
}

const NO_LIMIT: Duration = Duration::from_secs(60 * 60 * 24 * 365);
