//! The story's statements for SQLite.

use crate::engine::{Account, Engine};
use cabrank_sqlite::rusqlite::{Error, Result, ffi};
use cabrank_sqlite::{Connection, SqliteManager, Transaction, TransactionMode};
use std::path::Path;

/// Opens the file at `path`, and creates it if it does not exist.
pub(crate) fn manager(path: &Path) -> SqliteManager {
    // NORMAL, the usual choice in WAL mode (the adapter's default, in which readers and the writer do not wait for each other): commits
    // do not wait for the disk.
    SqliteManager::file(path).create(true).pragma("synchronous", "NORMAL")
}

impl Engine for SqliteManager {
    fn describe(conn: &mut Connection) -> Result<String> {
        conn.query_row("SELECT 'SQLite ' || sqlite_version()", [], |row| row.get(0))
    }

    fn create_table(conn: &mut Connection) -> Result<()> {
        conn.execute_batch(
            "CREATE TABLE cabrank_demo_account (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, balance INTEGER NOT NULL)",
        )
    }

    fn drop_table(conn: &mut Connection) -> Result<()> {
        conn.execute_batch("DROP TABLE cabrank_demo_account")
    }

    fn insert(conn: &mut Connection, Account { id, owner, balance }: &Account) -> Result<()> {
        conn.prepare_cached("INSERT INTO cabrank_demo_account (id, owner, balance) VALUES (?1, ?2, ?3)")?
            .execute((id, owner, balance))?;
        Ok(())
    }

    fn accounts(conn: &mut Connection) -> Result<Vec<Account>> {
        conn.prepare_cached("SELECT id, owner, balance FROM cabrank_demo_account ORDER BY id")?
            .query_map([], |row| Ok(Account { id: row.get(0)?, owner: row.get(1)?, balance: row.get(2)? }))?
            .collect()
    }

    fn total(conn: &mut Connection) -> Result<i64> {
        conn.prepare_cached("SELECT sum(balance) FROM cabrank_demo_account")?.query_row([], |row| row.get(0))
    }

    fn balance(tx: &mut Transaction<'_>, account: i64) -> Result<i64> {
        tx.prepare_cached("SELECT balance FROM cabrank_demo_account WHERE id = ?1")?
            .query_row([account], |row| row.get(0))
    }

    fn set_balance(tx: &mut Transaction<'_>, account: i64, balance: i64) -> Result<()> {
        tx.prepare_cached("UPDATE cabrank_demo_account SET balance = ?2 WHERE id = ?1")?.execute((account, balance))?;
        Ok(())
    }

    /// Deferred: reads a snapshot, and its first write fails if another transaction has written since then.
    fn watchful() -> TransactionMode {
        TransactionMode::Deferred
    }

    /// An invented error, because a real one needs a failing disk.
    fn lose(_: &mut Connection) -> Result<()> {
        Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR), Some("disk I/O error (simulated)".to_owned())))
    }
}
