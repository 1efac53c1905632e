//! The contract with the pool: which file does what when the pool calls.
//!
//! Owns no step that takes more than a few lines: those are `open.rs`, `reset.rs`, `abort.rs` and `fault.rs`.

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

    /// Settings that are asked for before each connect have none.
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
        // What can be aborted is, and the pool alone says when: if this process stood still, an answer that came meanwhile counts.
        let bound = if conn.tap().is_some() { None } else { limit.remaining() };
        conn.client.is_valid(bound.unwrap_or(NO_LIMIT))?;
        conn.check_role()
    }

    /// By what the driver has read. Nobody reads while a connection is idle, so that a death shows only at the next use or
    /// check.
    fn has_broken(&self, conn: &mut Connection) -> bool {
        // With `SessionPolicy::Never` nobody has asked for the session since the last look.
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
            // The reset asks for it.
            SessionState::Clean if conn.refused_write() => SessionState::Unknown,
            session => session,
        }
    }

    fn reset(&self, conn: &mut Connection, limit: &Limit) -> Result<(), Error> {
        conn.beyond_reset = conn.beyond_reset || !reset::reset(conn, limit)?;
        Ok(())
    }

    /// Where nothing is read along the server is asked, in one round trip, if `on_open` has had the connection. So it is for a role, in
    /// another one.
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

    /// The driver says goodbye once all its requests have been answered; then the stream waits for the server's end.
    fn close(&self, mut conn: Connection, limit: &Limit) {
        let ended = conn.end_unread(limit);
        if let Some(tap) = conn.tap() {
            if ended.is_err() {
                tap.socket.abort();
            }
            tap.socket.linger();
        }
        let Connection { client, statements, tap, .. } = conn;
        // Fails if the connection is aborted or dead, which is an end as good as another.
        let _ = client.close();
        drop((statements, tap));
    }

    /// Where nothing is read along, this is where a change of the schema shows; that of a type shows nowhere else.
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

    /// Where a role is asked for, a server in another one is an error.
    fn remark(&self, conn: &Connection) -> Option<String> {
        let worth_a_word = || self.hosts.remark(&conn.place, conn.shown(), Instant::now());
        (conn.role == Role::Any).then(worth_a_word).flatten()
    }

    fn abort_handle(&self, conn: &Connection) -> Option<Box<dyn AbortHandle>> {
        Some(Box::new(PostgresAbortHandle::of(conn)))
    }
}

const NO_LIMIT: Duration = Duration::from_secs(60 * 60 * 24 * 365);
