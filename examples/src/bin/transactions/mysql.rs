//! The transactions of MySQL and MariaDB.

use anyhow::{Result, ensure};
use cabrank_mysql::mysql;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{AccessMode, IsolationLevel, TxOpts};
use cabrank_mysql::{MySqlManager, Pool};

pub(crate) fn run(url: &str) -> Result<()> {
    let pool = Pool::builder().max_size(4).from_env("DB_POOL_")?.build(MySqlManager::from_url(url)?)?;
    pool.get()?
        .query_drop("CREATE TABLE cabrank_example_account (owner VARCHAR(40) PRIMARY KEY, balance BIGINT NOT NULL)")?;
    pool.get()?.query_drop("INSERT INTO cabrank_example_account VALUES ('Ada', 100), ('Ben', 50)")?;

    let outcome = crate::story(
        |from, to, amount, before_writing| transfer(&pool, from, to, amount, before_writing),
        || balances(&pool),
        || {
            let read_only = TxOpts::default().set_access_mode(Some(AccessMode::ReadOnly));
            Ok(pool.transaction().options(read_only).run(|tx| tx.query_drop("DELETE FROM cabrank_example_account"))?)
        },
    );
    pool.get()?.query_drop("DROP TABLE cabrank_example_account")?;
    outcome
}

fn transfer(pool: &Pool, from: &str, to: &str, amount: i64, before_writing: &dyn Fn()) -> Result<()> {
    // SERIALIZABLE locks the rows that are read. Two transactions that have read and want to write deadlock, and the server rolls one
    // of them back. With the default, REPEATABLE READ, MySQL would let both write.
    let serializable = TxOpts::default().set_isolation_level(Some(IsolationLevel::Serializable));
    pool.transaction().options(serializable).retries(10).run(|tx| -> Result<()> {
        let balance = "SELECT balance FROM cabrank_example_account WHERE owner = ?";
        let has: i64 = tx.exec_first(balance, (from,))?.unwrap_or(0);
        before_writing();
        tx.exec_drop("UPDATE cabrank_example_account SET balance = balance + ? WHERE owner = ?", (amount, to))?;
        ensure!(has >= amount, "{from} has only {has}"); // The amount paid in above is rolled back.
        tx.exec_drop("UPDATE cabrank_example_account SET balance = balance - ? WHERE owner = ?", (amount, from))?;
        Ok(())
    })?;
    Ok(())
}

fn balances(pool: &Pool) -> Result<Vec<(String, i64)>> {
    // All reads see one snapshot.
    let snapshot = TxOpts::default().set_with_consistent_snapshot(true).set_access_mode(Some(AccessMode::ReadOnly));
    let rows = pool.transaction().options(snapshot).run(|tx| -> mysql::Result<_> {
        tx.query("SELECT owner, balance FROM cabrank_example_account ORDER BY owner")
    })?;
    Ok(rows)
}
