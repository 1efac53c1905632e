//! The transactions of PostgreSQL.

use anyhow::{Result, ensure};
use cabrank_postgres::postgres::{Error, IsolationLevel, NoTls};
use cabrank_postgres::{Pool, PostgresManager, TransactionOptions};

pub(crate) fn run(url: &str) -> Result<()> {
    let pool = Pool::builder().max_size(4).from_env("DB_POOL_")?.build(PostgresManager::from_url(url, NoTls)?)?;
    pool.get()?.batch_execute(
        "CREATE TABLE cabrank_example_account (owner text PRIMARY KEY, balance bigint NOT NULL);
         INSERT INTO cabrank_example_account VALUES ('Ada', 100), ('Ben', 50)",
    )?;

    let outcome = crate::story(
        |from, to, amount, before_writing| transfer(&pool, from, to, amount, before_writing),
        || balances(&pool),
        || {
            let transaction = pool.transaction().options(TransactionOptions::new().read_only(true));
            Ok(transaction.run(|tx| tx.execute("DELETE FROM cabrank_example_account", &[])).map(drop)?)
        },
    );
    pool.get()?.batch_execute("DROP TABLE cabrank_example_account")?;
    outcome
}

fn transfer(pool: &Pool, from: &str, to: &str, amount: i64, before_writing: &dyn Fn()) -> Result<()> {
    // With the default, READ COMMITTED, both transactions would write, one of them from an outdated balance.
    let serializable = TransactionOptions::new().isolation_level(IsolationLevel::Serializable);
    pool.transaction().options(serializable).retries(10).run(|tx| -> Result<()> {
        let balance = "SELECT balance FROM cabrank_example_account WHERE owner = $1";
        let has: i64 = tx.query_one(balance, &[&from])?.get(0);
        before_writing();
        tx.execute("UPDATE cabrank_example_account SET balance = balance + $2 WHERE owner = $1", &[&to, &amount])?;
        ensure!(has >= amount, "{from} has only {has}"); // The amount paid in above is rolled back.
        tx.execute("UPDATE cabrank_example_account SET balance = balance - $2 WHERE owner = $1", &[&from, &amount])?;
        Ok(())
    })?;
    Ok(())
}

fn balances(pool: &Pool) -> Result<Vec<(String, i64)>> {
    // All reads see one snapshot.
    let snapshot = TransactionOptions::new().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let rows = pool.transaction().options(snapshot).run(|tx| -> Result<_, Error> {
        tx.query("SELECT owner, balance FROM cabrank_example_account ORDER BY owner", &[])
    })?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
