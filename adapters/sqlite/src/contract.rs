//! The contract with the pool: `impl Manager for SqliteManager`.
//!
//! Owns nothing but which step is done where. That of transactions is `transaction.rs`.

use crate::abort::SqliteAbortHandle;
use crate::connection::Connection;
use crate::manager::SqliteManager;
use crate::source::Source;
use crate::watch::Trace;
use crate::{fault, open, reset};
use cabrank::{AbortHandle, Fault, Limit, Manager, SessionState};
use std::error::Error;
use std::sync::PoisonError;

impl Manager for SqliteManager {
    type Connection = Connection;
    type Error = rusqlite::Error;

    const REMOTE: bool = false;

    /// Of a pair of pools each has a name of its own.
    fn default_name(&self) -> Option<String> {
        let name = self.source.short_name()?;
        Some(self.part.map_or_else(|| name.clone(), |part| format!("{name} {part}")))
    }

    fn connect(&self, limit: &Limit) -> rusqlite::Result<Connection> {
        open::open(self, Some(limit))
    }

    /// Looks whether the path still leads to the file that was opened, and reads the number of its schema.
    fn is_valid(&self, conn: &mut Connection, limit: &Limit) -> rusqlite::Result<()> {
        let interrupt = conn.driver.get_interrupt_handle();
        limit.on_abort(move || interrupt.interrupt());
        conn.check()
    }

    /// Nothing that would prove a connection dead shows without asking: a leaked statement only makes the session
    /// [`Unknown`](SessionState::Unknown). Called between two loans, so interrupt handles of the last end here.
    fn has_broken(&self, conn: &mut Connection) -> bool {
        conn.tokens.end();
        false
    }

    /// Clears the number of the last row: it goes unnoticed, costs next to nothing, and would reach the next holder.
    fn session(&self, conn: &mut Connection) -> SessionState {
        if conn.beyond_reset {
            return SessionState::BeyondReset;
        }
        if !conn.driver.is_autocommit() {
            return SessionState::InTransaction;
        }
        if conn.tracker.takes_prepared() && conn.keeps_too_much() {
            conn.tracker.mark(Trace::STATEMENTS);
        }
        let traces = conn.tracker.traces();
        if traces.has(Trace::LASTING) {
            SessionState::BeyondReset
        } else if !conn.tracker.is_whole() || !conn.is_at_rest() || !traces.is_small() || !conn.is_readable() {
            SessionState::Unknown
        } else if traces == Trace::NONE {
            conn.forget_last_row();
            SessionState::Clean
        } else {
            SessionState::Slight
        }
    }

    fn reset(&self, conn: &mut Connection, limit: &Limit) -> rusqlite::Result<()> {
        let interrupt = conn.driver.get_interrupt_handle();
        limit.on_abort(move || interrupt.interrupt());
        conn.beyond_reset = !reset::reset(conn, self.authorizer.as_ref())?;
        // A copy of another database may have made it unreadable.
        if let Source::Memory(memory) = &self.source {
            memory.hold()?;
        }
        Ok(())
    }

    /// What the manager and `on_open` have set is not a holder's.
    fn start_tracking(&self, conn: &mut Connection) {
        conn.forget_last_row();
        conn.tracker.forget();
    }

    /// The last connection to leave a file in WAL mode writes the log back into the file; an abort ends that half done,
    /// which is safe. Connections that left together would each take another for the last, so one leaves at a time.
    fn close(&self, conn: Connection, limit: &Limit) {
        let _alone = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        let interrupt = conn.driver.get_interrupt_handle();
        limit.on_abort(move || interrupt.interrupt());
        // An interrupt of the last holder's statement lasts until another begins, and would end the writing back.
        let _ = conn.tracker.unwatched(|| conn.driver.execute_batch("SELECT 1"));
        // Fails only on a leaked statement. Dropping it then is all that is left to do.
        let _ = conn.driver.close();
    }

    fn fault(&self, error: &rusqlite::Error) -> Fault {
        fault::fault(error)
    }

    fn fault_of_source(&self, source: &(dyn Error + 'static)) -> Option<Fault> {
        source.downcast_ref().map(fault::of_code)
    }

    fn abort_handle(&self, conn: &Connection) -> Option<Box<dyn AbortHandle>> {
        Some(Box::new(SqliteAbortHandle::of(conn)))
    }
}
