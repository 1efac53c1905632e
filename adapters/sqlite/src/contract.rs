//! The contract with the pool: `impl Manager for SqliteManager`.
//!
//! Maps each call to its file. The contract of transactions is in `transaction.rs`.

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

    /// Each of a pair of pools has its own name.
    fn default_name(&self) -> Option<String> {
        let name = self.source.short_name()?;
        Some(self.part.map_or_else(|| name.clone(), |part| format!("{name} {part}")))
    }

    fn connect(&self, limit: &Limit) -> rusqlite::Result<Connection> {
        open::open(self, Some(limit))
    }

    /// Checks that the path still leads to the opened file, and reads the number of its schema.
    fn is_valid(&self, conn: &mut Connection, limit: &Limit) -> rusqlite::Result<()> {
        let interrupt = conn.driver.get_interrupt_handle();
        limit.on_abort(move || interrupt.interrupt());
        conn.check()
    }

    /// No local state proves a connection dead: a leaked statement only makes the session [`Unknown`](SessionState::Unknown). Called
    /// between two loans, so interrupt handles of the last end here.
    fn has_broken(&self, conn: &mut Connection) -> bool {
        conn.tokens.end();
        false
    }

    /// Clears the number of the last row, which is not tracked, costs next to nothing, and would be visible to the next holder.
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

    /// Settings of the manager and `on_open` are not a holder's.
    fn start_tracking(&self, conn: &mut Connection) {
        conn.forget_last_row();
        conn.tracker.forget();
    }

    /// The last connection to leave a file in WAL mode writes the log back into the file; an abort interrupts that safely. Connections
    /// that left together could each take another for the last, so only one leaves at a time.
    fn close(&self, conn: Connection, limit: &Limit) {
        let _alone = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        let interrupt = conn.driver.get_interrupt_handle();
        limit.on_abort(move || interrupt.interrupt());
        // An interrupt of the last holder's statement persists until another begins, and would stop the write-back.
        let _ = conn.tracker.unwatched(|| conn.driver.execute_batch("SELECT 1"));
        // Fails only on a leaked statement. Dropping the connection is then the only option.
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
