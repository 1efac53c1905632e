//! Access to a connection from another thread: interrupt the running statement.

use crate::connection::Connection;
use cabrank::{AbortHandle, Limit};
use rusqlite::InterruptHandle;

/// Interrupts the running statement. Needs no second connection, and has no effect on an idle or closed one.
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
