//! Transactions: rusqlite's own type, begun so that the first write cannot fail.

use crate::connection::Connection;
use crate::manager::SqliteManager;
use cabrank::Transact;
use rusqlite::{Transaction, TransactionBehavior};

/// When a transaction takes the lock for writing: the options of `pool.transaction()`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionMode {
    /// `IMMEDIATE` where the pool's connections can write, else `DEFERRED`.
    ///
    /// A deferred transaction that reads and then writes fails with `SQLITE_BUSY_SNAPSHOT`, at once and without
    /// regard to the busy time-out, whenever another one wrote in between. An immediate one waits its turn before
    /// it reads anything.
    #[default]
    Usual,
    /// At the first write. Best for reading; a write must be ready to be retried.
    Deferred,
    /// At the beginning.
    Immediate,
    /// At the beginning; outside WAL mode readers are kept out too.
    Exclusive,
}

impl Transact for SqliteManager {
    type Transaction<'c> = Transaction<'c>;
    type Options = TransactionMode;

    fn begin<'c>(&self, conn: &'c mut Connection, mode: &TransactionMode) -> rusqlite::Result<Transaction<'c>> {
        let behavior = match mode {
            TransactionMode::Usual if self.writes() => TransactionBehavior::Immediate,
            TransactionMode::Usual | TransactionMode::Deferred => TransactionBehavior::Deferred,
            TransactionMode::Immediate => TransactionBehavior::Immediate,
            TransactionMode::Exclusive => TransactionBehavior::Exclusive,
        };
        conn.driver.transaction_with_behavior(behavior)
    }

    /// Fails if SQLite has rolled back by itself: there is then no transaction to commit.
    fn commit(&self, transaction: Transaction<'_>) -> rusqlite::Result<()> {
        transaction.commit()
    }

    fn rollback(&self, transaction: Transaction<'_>) -> rusqlite::Result<()> {
        // Some errors (a full disk, an interrupted write) have rolled back already.
        if transaction.is_autocommit() { Ok(()) } else { transaction.rollback() }
    }
}
