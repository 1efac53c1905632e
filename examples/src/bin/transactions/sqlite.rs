//! The transactions of SQLite.

use anyhow::{Result, ensure};
use cabrank_sqlite::{Pool, SqliteManager, TransactionMode, rusqlite};
use std::path::Path;

pub(crate) fn run(path: &Path) -> Result<()> {
    let file = SqliteManager::file(path).create(true);
    let pool = Pool::builder().max_size(4).from_env("DB_POOL_")?.build(file.clone())?;
    pool.get()?.execute_batch(
        "CREATE TABLE cabrank_example_account (owner TEXT PRIMARY KEY, balance INTEGER NOT NULL);
         INSERT INTO cabrank_example_account VALUES ('Ada', 100), ('Ben', 50)",
    )?;
    // Readers have a pool of their own, whose connections refuse to write.
    let readers =
        Pool::builder().name("readers").max_size(4).from_env("DB_POOL_")?.build(file.create(false).query_only(true))?;

    let outcome = crate::story(
        |from, to, amount, before_writing| transfer(&pool, from, to, amount, before_writing),
        || balances(&readers),
        || Ok(readers.transaction().run(|tx| tx.execute("DELETE FROM cabrank_example_account", [])).map(drop)?),
    );
    pool.get()?.execute_batch("DROP TABLE cabrank_example_account")?;
    outcome
}

fn transfer(pool: &Pool, from: &str, to: &str, amount: i64, before_writing: &dyn Fn()) -> Result<()> {
    // By default transactions are IMMEDIATE: the second one waits before it reads, and nothing needs a retry. A DEFERRED one reads at
    // once, and its first write fails if another transaction has written meanwhile.
    let transaction = pool.transaction().options(TransactionMode::Deferred).retries(10);
    transaction.run(|tx| -> Result<()> {
        let balance = "SELECT balance FROM cabrank_example_account WHERE owner = ?1";
        let has: i64 = tx.query_row(balance, [from], |row| row.get(0))?;
        before_writing();
        tx.execute("UPDATE cabrank_example_account SET balance = balance + ?2 WHERE owner = ?1", (to, amount))?;
        ensure!(has >= amount, "{from} has only {has}"); // The amount paid in above is rolled back.
        tx.execute("UPDATE cabrank_example_account SET balance = balance - ?2 WHERE owner = ?1", (from, amount))?;
        Ok(())
    })?;
    Ok(())
}

fn balances(pool: &Pool) -> Result<Vec<(String, i64)>> {
    // All reads see one snapshot.
    let rows = pool.transaction().run(|tx| -> rusqlite::Result<Vec<_>> {
        let mut select = tx.prepare_cached("SELECT owner, balance FROM cabrank_example_account ORDER BY owner")?;
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    })?;
    Ok(rows)
}
