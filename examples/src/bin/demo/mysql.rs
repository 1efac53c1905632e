//! The story's statements for MySQL and MariaDB.

use crate::engine::{Account, Engine};
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{IsolationLevel, Result, TxOpts, UrlError};
use cabrank_mysql::{Connection, MySqlManager, Transaction};

/// Connects with a URL.
pub(crate) fn manager(url: &str) -> std::result::Result<MySqlManager, UrlError> {
    MySqlManager::from_url(url)
}

impl Engine for MySqlManager {
    fn describe(conn: &mut Connection) -> Result<String> {
        let version: String = conn.query_first("SELECT VERSION()")?.unwrap_or_default();
        Ok(if version.contains("MariaDB") { version } else { format!("MySQL {version}") })
    }

    fn create_table(conn: &mut Connection) -> Result<()> {
        conn.query_drop(
            "CREATE TABLE cabrank_demo_account (id BIGINT PRIMARY KEY, owner TEXT NOT NULL, balance BIGINT NOT NULL)
             ENGINE = InnoDB",
        )
    }

    fn drop_table(conn: &mut Connection) -> Result<()> {
        conn.query_drop("DROP TABLE cabrank_demo_account")
    }

    fn insert(conn: &mut Connection, Account { id, owner, balance }: &Account) -> Result<()> {
        conn.exec_drop("INSERT INTO cabrank_demo_account (id, owner, balance) VALUES (?, ?, ?)", (id, owner, balance))
    }

    fn accounts(conn: &mut Connection) -> Result<Vec<Account>> {
        conn.exec_map("SELECT id, owner, balance FROM cabrank_demo_account ORDER BY id", (), |(id, owner, balance)| {
            Account { id, owner, balance }
        })
    }

    fn total(conn: &mut Connection) -> Result<i64> {
        let sum = conn.exec_first("SELECT CAST(SUM(balance) AS SIGNED) FROM cabrank_demo_account", ())?;
        Ok(sum.unwrap_or(0))
    }

    fn balance(tx: &mut Transaction<'_>, account: i64) -> Result<i64> {
        let balance = tx.exec_first("SELECT balance FROM cabrank_demo_account WHERE id = ?", (account,))?;
        Ok(balance.unwrap_or(0))
    }

    fn set_balance(tx: &mut Transaction<'_>, account: i64, balance: i64) -> Result<()> {
        tx.exec_drop("UPDATE cabrank_demo_account SET balance = ? WHERE id = ?", (balance, account))
    }

    /// Locks the rows that it reads. Two that read and then write the same row deadlock, and the server ends one of them (error 1213).
    fn watchful() -> TxOpts {
        TxOpts::default().set_isolation_level(Some(IsolationLevel::Serializable))
    }

    /// The session ends itself, as an administrator would end it. MariaDB reports this at once, MySQL at the next statement.
    fn lose(conn: &mut Connection) -> Result<()> {
        match conn.query_drop("KILL CONNECTION_ID()") {
            Err(error) if conn.is_broken() => Err(error),
            _ => conn.query_drop("DO 0"),
        }
    }
}
