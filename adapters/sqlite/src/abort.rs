//! A connection in the hands of another thread: interrupt what runs.

use crate::connection::Connection;
use cabrank::{AbortHandle, Limit};
use rusqlite::InterruptHandle;

/// Interrupts whatever statement runs. Needs no second connection, and does nothing to one that is idle or closed.
pub(crate) struct SqliteAbortHandle(InterruptHandle);

impl SqliteAbortHandle {
    pub(crate) fn of(conn: &Connection) -> Self {
        Self(conn.driver.get_interrupt_handle())
    }
}

impl AbortHandle for SqliteAbortHandle {
    fn cancel(&self, _: &Limit) -> bool {
        self.0.interrupt();
        true
    }

    fn abort(&self) {
        self.0.interrupt();
    }
}
