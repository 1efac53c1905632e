//! Transactions: begun with the driver's options, tracked like their connection, nested by savepoints.
//!
//! Not the driver's own type, for three reasons. It reports nothing to us: after a time-out its COMMIT would take the late reply to an
//! earlier statement for success. After a deadlock it goes on in autocommit. And it panics when a consistent snapshot meets a dead
//! connection.

use crate::connection::Connection;
use crate::error::{in_transaction, savepoint_gone};
use crate::manager::MySqlManager;
use cabrank::Transact;
use mysql::{AccessMode, Conn, Error, Result, TxOpts};
use std::fmt;
use std::ops::Deref;

impl Connection {
    /// Begins a transaction, which is rolled back when dropped. Prefer `pool.transaction()`, which also retries.
    ///
    /// ```no_run
    /// use cabrank_mysql::mysql::{TxOpts, prelude::Queryable};
    /// use cabrank_mysql::{MySqlManager, Pool};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().build(MySqlManager::from_url("mysql://app:secret@localhost/shop")?)?;
    ///
    /// let mut conn = pool.get()?;
    /// let mut tx = conn.start_transaction(TxOpts::default())?;
    /// tx.exec_drop("UPDATE account SET money = money - ? WHERE id = ?", (100, 1))?;
    /// tx.exec_drop("UPDATE account SET money = money + ? WHERE id = ?", (100, 2))?;
    /// tx.commit()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The driver's. A second transaction would end the first one silently; the borrow prevents that. If one may have begun without a
    /// text that shows it (`CALL`, `EXECUTE`, `raw()`, autocommit off), this asks the server in one round trip, and fails with error
    /// 1568 if one is open.
    pub fn start_transaction(&mut self, options: TxOpts) -> mysql::Result<Transaction<'_>> {
        Transaction::begin(self, &options)
    }
}

/// A transaction on a pooled connection. Queries go through [`mysql::prelude::Queryable`]; `last_insert_id`, `affected_rows` and
/// similar methods are the driver's, by deref. Rolled back when dropped. For an example see [`nested`](Self::nested).
///
/// Statements that the server commits by themselves (DDL, `LOCK TABLES` ..) end it early, without an error.
pub struct Transaction<'c> {
    pub(crate) conn: &'c mut Connection,
    open: bool,
    /// The number of our savepoints around it.
    depth: u32,
}

impl<'c> Transaction<'c> {
    pub(crate) fn begin(conn: &'c mut Connection, options: &TxOpts) -> Result<Self> {
        conn.ready()?;
        if conn.has_transaction_unseen()? {
            return Err(in_transaction());
        }
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
        Ok(Self { conn, open: true, depth: 0 })
    }

    /// Runs `work` in a transaction nested in this one, by a savepoint, to any depth: two round trips.
    ///
    /// If `work` fails or panics, its changes are undone, and this transaction goes on. This method retries nothing: an error that means
    /// [`Fault::Retry`](cabrank::Fault::Retry), passed on by the closures, makes the pool run the whole transaction again. After a
    /// deadlock, for which the server rolls back all of it, this transaction does not go on, even if the closure ignores the error.
    ///
    /// ```no_run
    /// use cabrank_mysql::mysql::{Error, ServerError, prelude::Queryable};
    /// use cabrank_mysql::{MySqlManager, Pool};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().build(MySqlManager::from_url("mysql://app:secret@localhost/shop")?)?;
    ///
    /// let new = pool.transaction().run(|tx| -> Result<u32, Error> {
    ///     let mut new = 0;
    ///     for name in ["red", "blue", "red"] {
    ///         let added = tx.nested(|tx| tx.exec_drop("INSERT INTO tag VALUES (?)", (name,)));
    ///         match added {
    ///             Err(Error::MySqlError(error)) if error.code == ServerError::ER_DUP_ENTRY as u16 => {}
    ///             added => added.map(|()| new += 1)?,
    ///         }
    ///     }
    ///     Ok(new)
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The unchanged error of `work`, or the driver's if the savepoint cannot be set (`work` then does not run) or released. Error 1305
    /// means that the savepoint is gone: a statement that the server commits by itself (DDL, `LOCK TABLES` ..), or a `COMMIT`, has ended
    /// the transaction. Committed changes stay; each further command fails with the same error, the commit too.
    pub fn nested<T, E: From<Error>>(
        &mut self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut nested = self.savepoint()?;
        let value = work(&mut nested)?;
        nested.release()?;
        Ok(value)
    }

    fn savepoint(&mut self) -> Result<Transaction<'_>> {
        let depth = self.depth + 1;
        self.conn.savepoint("SAVEPOINT", depth)?;
        if self.conn.tracker.is_blind() {
            // After an early commit no transaction is open, and the server drops a savepoint at once.
            self.conn.roll_back_to(depth)?;
        }
        Ok(Transaction { conn: self.conn, open: true, depth })
    }

    fn release(mut self) -> Result<()> {
        self.conn.prove_replies()?;
        self.conn.savepoint("RELEASE SAVEPOINT", self.depth)?;
        self.open = false;
        Ok(())
    }

    /// Commits.
    ///
    /// # Errors
    ///
    /// The driver's. If the server has rolled back before, this returns the error that the closure ignored. If the connection is lost,
    /// the outcome is unknown.
    pub fn commit(mut self) -> Result<()> {
        self.conn.prove_replies()?;
        self.conn.control("COMMIT")?;
        self.open = false;
        self.conn.health.end();
        Ok(())
    }

    /// Rolls back, also after errors that leave the transaction open (a lock wait that timed out) or have rolled back already (a
    /// deadlock), without a guess at which.
    ///
    /// # Errors
    ///
    /// The driver's.
    pub fn rollback(mut self) -> Result<()> {
        self.undo()
    }

    /// Returns the driver's own connection. For the drawbacks see [`Connection::raw`]; here it also costs a round trip before the commit,
    /// to verify the position in the replies.
    pub fn raw(&mut self) -> &mut Conn {
        self.conn.raw()
    }

    fn undo(&mut self) -> Result<()> {
        self.open = false;
        self.conn.health.end();
        self.conn.control("ROLLBACK")
    }
}

impl Connection {
    /// Before the end of a transaction: otherwise a late reply to an untracked command would pass for the answer.
    fn prove_replies(&mut self) -> Result<()> {
        self.ready()?;
        if self.may_have_slipped() { self.check() } else { Ok(()) }
    }

    /// After a failure nothing more is sent in the transaction: it contains changes that should have been undone, or has ended.
    fn roll_back_to(&mut self, depth: u32) -> Result<()> {
        let outcome = self.savepoint("ROLLBACK TO SAVEPOINT", depth);
        if let Err(Error::MySqlError(error)) = &outcome {
            self.health.presume_rolled_back(error.clone());
        }
        outcome
    }

    fn savepoint(&mut self, command: &str, depth: u32) -> Result<()> {
        self.control(&format!("{command} cabrank_{depth}")).map_err(savepoint_gone)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.depth > 0 {
            if self.open {
                // The connection keeps an error, and returns it to each further command.
                let _ = self.conn.roll_back_to(self.depth);
            }
        } else if std::thread::panicking() {
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

    fn nested<T, E: From<Error>>(
        outer: &mut Transaction<'_>,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        outer.nested(work)
    }
}
