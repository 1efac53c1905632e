//! Transactions: begun with the driver's options, watched like the connection they run on.
//!
//! Not the driver's own type, for three reasons. It reports to nobody, so that after a time-out its COMMIT would take
//! the late reply to an earlier statement for success. After a deadlock it goes on in autocommit. And it panics when a
//! consistent snapshot meets a dead connection.

use crate::connection::Connection;
use crate::manager::MySqlManager;
use cabrank::Transact;
use mysql::{AccessMode, Conn, Result, TxOpts};
use std::fmt;
use std::ops::Deref;

impl Connection {
    /// Begins a transaction, which is rolled back when dropped.
    ///
    /// # Errors
    ///
    /// The driver's. A second transaction would end the first one silently; the borrow prevents that.
    pub fn start_transaction(&mut self, options: TxOpts) -> mysql::Result<Transaction<'_>> {
        Transaction::begin(self, &options)
    }
}

/// A transaction on a pooled connection. Queries go through [`mysql::prelude::Queryable`]; `last_insert_id`,
/// `affected_rows` and their like are the driver's, by deref. Rolled back when dropped.
///
/// Statements that the server commits by themselves (DDL, `LOCK TABLES` ..) end it early, and no error tells.
pub struct Transaction<'c> {
    pub(crate) conn: &'c mut Connection,
    open: bool,
}

impl<'c> Transaction<'c> {
    pub(crate) fn begin(conn: &'c mut Connection, options: &TxOpts) -> Result<Self> {
        if let Some(level) = options.isolation_level() {
            conn.control(&format!("SET TRANSACTION ISOLATION LEVEL {level}"))?;
        }
        let mut begin = vec![];
        if options.with_consistent_snapshot() {
            begin.push("WITH CONSISTENT SNAPSHOT");
        }
        match options.access_mode() {
            Some(AccessMode::ReadOnly) => begin.push("READ ONLY"),
            Some(AccessMode::ReadWrite) => begin.push("READ WRITE"),
            None => {}
        }
        conn.control(&format!("START TRANSACTION {}", begin.join(", ")))?;
        conn.health.begin();
        Ok(Self { conn, open: true })
    }

    /// Commits.
    ///
    /// # Errors
    ///
    /// The driver's. Also if the server has rolled back before, with the error that the closure passed over. When the connection
    /// is lost nobody knows whether it was done.
    pub fn commit(mut self) -> Result<()> {
        self.conn.ready()?;
        if self.conn.may_have_slipped() {
            // Else a late reply to something that nobody watched would pass for the answer to COMMIT.
            self.conn.check()?;
        }
        self.conn.control("COMMIT")?;
        self.open = false;
        self.conn.health.end();
        Ok(())
    }

    /// Rolls back, also after errors that leave the transaction open (a lock wait that timed out) or have rolled back
    /// already (a deadlock): it is never guessed which.
    ///
    /// # Errors
    ///
    /// The driver's.
    pub fn rollback(mut self) -> Result<()> {
        self.undo()
    }

    /// The driver's own connection. See [`Connection::raw`] for what that loses; here it also costs a round trip before
    /// the commit, to find out whether replies have slipped.
    pub fn raw(&mut self) -> &mut Conn {
        self.conn.raw()
    }

    fn undo(&mut self) -> Result<()> {
        self.open = false;
        self.conn.health.end();
        self.conn.control("ROLLBACK")
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Nothing is sent while a thread unwinds. The server rolls back when the connection is closed.
            self.conn.health.condemn();
        } else if self.open && self.undo().is_err() {
            self.conn.health.condemn();
        }
    }
}

impl Deref for Transaction<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn.driver
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("conn", &self.conn).finish_non_exhaustive()
    }
}

impl Transact for MySqlManager {
    type Transaction<'c> = Transaction<'c>;
    type Options = TxOpts;

    fn begin<'c>(&self, conn: &'c mut Connection, options: &TxOpts) -> Result<Transaction<'c>> {
        Transaction::begin(conn, options)
    }

    fn commit(&self, transaction: Transaction<'_>) -> Result<()> {
        transaction.commit()
    }

    fn rollback(&self, transaction: Transaction<'_>) -> Result<()> {
        transaction.rollback()
    }
}
