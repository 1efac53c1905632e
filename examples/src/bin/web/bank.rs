//! The statements of the handlers, for each driver. All of them block.

use cabrank::Transact;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::{MySqlManager, mysql};
use cabrank_postgres::{PostgresManager, postgres};
use cabrank_sqlite::{SqliteManager, rusqlite};

/// Ten accounts with ids and balances.
pub(crate) trait Bank: Transact + Clone {
    /// Creates the accounts that do not exist. They stay when the service ends.
    fn open(conn: &mut Self::Connection) -> Result<(), Self::Error>;

    /// All accounts, ordered by id.
    fn accounts(conn: &mut Self::Connection) -> Result<Vec<(i64, i64)>, Self::Error>;

    /// Locks two accounts until the transaction ends, and returns them. Locks in order of their ids, which prevents deadlocks between
    /// transfers.
    fn lock(tx: &mut Self::Transaction<'_>, one: i64, other: i64) -> Result<Vec<(i64, i64)>, Self::Error>;

    /// Adds `amount` to an account. A negative amount is a withdrawal.
    fn pay(tx: &mut Self::Transaction<'_>, account: i64, amount: i64) -> Result<(), Self::Error>;
}

const CREATE: &str = "CREATE TABLE IF NOT EXISTS cabrank_example_bank (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)";
const ACCOUNTS: &str = "SELECT id, balance FROM cabrank_example_bank ORDER BY id";

impl Bank for SqliteManager {
    fn open(conn: &mut cabrank_sqlite::Connection) -> rusqlite::Result<()> {
        conn.execute_batch(CREATE)?;
        let mut insert = conn.prepare("INSERT OR IGNORE INTO cabrank_example_bank VALUES (?1, 1000)")?;
        (1..=10).try_for_each(|id| insert.execute([id]).map(drop))
    }

    fn accounts(conn: &mut cabrank_sqlite::Connection) -> rusqlite::Result<Vec<(i64, i64)>> {
        conn.prepare_cached(ACCOUNTS)?.query_map([], |row| row.try_into())?.collect()
    }

    /// The transaction is IMMEDIATE and has locked the whole file already.
    fn lock(tx: &mut cabrank_sqlite::Transaction<'_>, one: i64, other: i64) -> rusqlite::Result<Vec<(i64, i64)>> {
        let mut select = tx.prepare_cached("SELECT id, balance FROM cabrank_example_bank WHERE id IN (?1, ?2)")?;
        select.query_map([one, other], |row| row.try_into())?.collect()
    }

    fn pay(tx: &mut cabrank_sqlite::Transaction<'_>, account: i64, amount: i64) -> rusqlite::Result<()> {
        let mut update = tx.prepare_cached("UPDATE cabrank_example_bank SET balance = balance + ?2 WHERE id = ?1")?;
        update.execute([account, amount]).map(drop)
    }
}

impl Bank for PostgresManager {
    fn open(conn: &mut cabrank_postgres::Connection) -> Result<(), postgres::Error> {
        let insert = "INSERT INTO cabrank_example_bank SELECT generate_series(1, 10), 1000 ON CONFLICT DO NOTHING";
        conn.batch_execute(&format!("{CREATE}; {insert}"))
    }

    fn accounts(conn: &mut cabrank_postgres::Connection) -> Result<Vec<(i64, i64)>, postgres::Error> {
        let select = conn.prepare_cached(ACCOUNTS)?;
        Ok(conn.query(&select, &[])?.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    fn lock(
        tx: &mut cabrank_postgres::Transaction<'_>,
        one: i64,
        other: i64,
    ) -> Result<Vec<(i64, i64)>, postgres::Error> {
        let select = "SELECT id, balance FROM cabrank_example_bank WHERE id IN ($1, $2) ORDER BY id FOR UPDATE";
        let select = tx.prepare_cached(select)?;
        Ok(tx.query(&select, &[&one, &other])?.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    fn pay(tx: &mut cabrank_postgres::Transaction<'_>, account: i64, amount: i64) -> Result<(), postgres::Error> {
        let update = tx.prepare_cached("UPDATE cabrank_example_bank SET balance = balance + $2 WHERE id = $1")?;
        tx.execute(&update, &[&account, &amount]).map(drop)
    }
}

impl Bank for MySqlManager {
    fn open(conn: &mut cabrank_mysql::Connection) -> mysql::Result<()> {
        conn.query_drop(CREATE)?;
        conn.exec_batch("INSERT IGNORE INTO cabrank_example_bank VALUES (?, 1000)", (1..=10).map(|id| (id,)))
    }

    fn accounts(conn: &mut cabrank_mysql::Connection) -> mysql::Result<Vec<(i64, i64)>> {
        conn.exec(ACCOUNTS, ())
    }

    fn lock(tx: &mut cabrank_mysql::Transaction<'_>, one: i64, other: i64) -> mysql::Result<Vec<(i64, i64)>> {
        let select = "SELECT id, balance FROM cabrank_example_bank WHERE id IN (?, ?) ORDER BY id FOR UPDATE";
        tx.exec(select, (one, other))
    }

    fn pay(tx: &mut cabrank_mysql::Transaction<'_>, account: i64, amount: i64) -> mysql::Result<()> {
        tx.exec_drop("UPDATE cabrank_example_bank SET balance = balance + ? WHERE id = ?", (amount, account))
    }
}
