//! The contract with the pool: `impl Manager for MySqlManager`.
//!
//! Maps each call to its file. The contract of transactions is in `transaction.rs`.

use crate::abort::MySqlAbortHandle;
use crate::connection::Connection;
use crate::manager::MySqlManager;
use crate::role::Role;
use crate::sql::Lasting;
use crate::{open, reset};
use cabrank::{AbortHandle, Fault, Limit, Manager, SessionState};
use std::time::Instant;

impl Manager for MySqlManager {
    type Connection = Connection;
    type Error = mysql::Error;

    fn default_name(&self) -> Option<String> {
        self.source.name()
    }

    fn connect(&self, limit: &Limit) -> mysql::Result<Connection> {
        open::open(self, Some(limit))
    }

    /// Asks for a unique number: a late reply to an earlier command proves nothing. The same answer shows whether the server accepts
    /// writes.
    fn is_valid(&self, conn: &mut Connection, _: &Limit) -> mysql::Result<()> {
        conn.check()?;
        conn.judge()
    }

    /// Whether there was a fatal error, or the socket is not quiet. Between commands the server sends nothing: any byte is a late reply
    /// or its last message, and end of stream ends the session.
    fn has_broken(&self, conn: &mut Connection) -> bool {
        // With `SessionPolicy::Never` no reset has queried the role since the last call.
        conn.health.was_passed_over() || conn.health.is_broken() || conn.socket.is_dead()
    }

    /// Derived from the texts that were sent, because the driver does not expose the server's session state. The number in
    /// `LAST_INSERT_ID()` survives into the next loan, whose first command clears it.
    fn session(&self, conn: &mut Connection) -> SessionState {
        if conn.beyond_reset {
            return SessionState::BeyondReset;
        }
        if conn.health.in_transaction() || conn.tracker.has_begun() {
            return SessionState::InTransaction;
        }
        if conn.tracker.lasting() == Lasting::Yes {
            return SessionState::BeyondReset;
        }
        if !conn.is_clean() {
            return SessionState::Unknown;
        }
        conn.tracker.hand_on();
        conn.statements.hand_on();
        SessionState::Clean
    }

    fn reset(&self, conn: &mut Connection, _: &Limit) -> mysql::Result<()> {
        conn.beyond_reset = !reset::reset(conn)?;
        Ok(())
    }

    /// Asks the server, in one round trip, if no text shows whether a transaction is open.
    fn check_set_up(&self, conn: &mut Connection, _: &Limit) -> mysql::Result<SessionState> {
        if conn.may_be_in_transaction() && conn.ask_transaction()? {
            return Ok(SessionState::InTransaction);
        }
        Ok(self.session(conn))
    }

    fn start_tracking(&self, conn: &mut Connection) {
        conn.tracker.start_tracking();
        conn.statements.hand_on();
    }

    /// Says goodbye and waits for the server to hang up.
    fn close(&self, conn: Connection, limit: &Limit) {
        let Connection { driver, socket, .. } = conn;
        drop(driver);
        socket.wait_for_end(limit.remaining());
    }

    fn fault(&self, error: &mysql::Error) -> Fault {
        self.role.fault(error)
    }

    /// If a role is required, a server without it is an error.
    fn remark(&self, conn: &Connection) -> Option<String> {
        let worth_a_word = || self.hosts.remark(conn.address, &conn.writes, Instant::now());
        (self.role == Role::Any).then(worth_a_word).flatten()
    }

    fn abort_handle(&self, conn: &Connection) -> Option<Box<dyn AbortHandle>> {
        Some(Box::new(MySqlAbortHandle::of(conn)))
    }
}
