//! The story's statements for PostgreSQL.

use crate::engine::{Account, Engine};
use cabrank_postgres::postgres::{Error, IsolationLevel, NoTls};
use cabrank_postgres::{Connection, PostgresManager, Transaction, TransactionOptions};

/// Connects with a URL, without TLS.
pub(crate) fn manager(url: &str) -> Result<PostgresManager, Error> {
    PostgresManager::from_url(url, NoTls)
}

impl Engine for PostgresManager {
    fn describe(conn: &mut Connection) -> Result<String, Error> {
        let row = conn.query_one("SELECT current_setting('server_version')", &[])?;
        Ok(format!("PostgreSQL {}", row.get::<_, &str>(0)))
    }

    fn create_table(conn: &mut Connection) -> Result<(), Error> {
        conn.batch_execute(
            "CREATE TABLE cabrank_demo_account (id bigint PRIMARY KEY, owner text NOT NULL, balance bigint NOT NULL)",
        )
    }

    fn drop_table(conn: &mut Connection) -> Result<(), Error> {
        conn.batch_execute("DROP TABLE cabrank_demo_account")
    }

    fn insert(conn: &mut Connection, Account { id, owner, balance }: &Account) -> Result<(), Error> {
        let insert =
            conn.prepare_cached("INSERT INTO cabrank_demo_account (id, owner, balance) VALUES ($1, $2, $3)")?;
        conn.execute(&insert, &[id, owner, balance])?;
        Ok(())
    }

    fn accounts(conn: &mut Connection) -> Result<Vec<Account>, Error> {
        let select = conn.prepare_cached("SELECT id, owner, balance FROM cabrank_demo_account ORDER BY id")?;
        let rows = conn.query(&select, &[])?;
        rows.iter()
            .map(|row| Ok(Account { id: row.try_get(0)?, owner: row.try_get(1)?, balance: row.try_get(2)? }))
            .collect()
    }

    fn total(conn: &mut Connection) -> Result<i64, Error> {
        // A sum of bigint is numeric, for which the driver has no type.
        let select = conn.prepare_cached("SELECT sum(balance)::bigint FROM cabrank_demo_account")?;
        conn.query_one(&select, &[])?.try_get(0)
    }

    fn balance(tx: &mut Transaction<'_>, account: i64) -> Result<i64, Error> {
        tx.query_one("SELECT balance FROM cabrank_demo_account WHERE id = $1", &[&account])?.try_get(0)
    }

    fn set_balance(tx: &mut Transaction<'_>, account: i64, balance: i64) -> Result<(), Error> {
        tx.execute("UPDATE cabrank_demo_account SET balance = $2 WHERE id = $1", &[&account, &balance])?;
        Ok(())
    }

    /// Reads a snapshot. Writing a row that another transaction has changed since then fails (SQLSTATE 40001).
    fn watchful() -> TransactionOptions {
        TransactionOptions::new().isolation_level(IsolationLevel::RepeatableRead)
    }

    /// The session ends itself, as an administrator would end it.
    fn lose(conn: &mut Connection) -> Result<(), Error> {
        conn.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())")
    }
}
