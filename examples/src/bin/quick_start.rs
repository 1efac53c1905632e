//! The example of the README: open a pool, ask, transfer, close.

use cabrank_sqlite::{Pool, SqliteManager, rusqlite};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SqliteManager::file("bank.db").create(true);
    let pool = Pool::builder().name("bank").max_size(4).from_env("DB_POOL_")?.build(manager)?;

    let conn = pool.get()?; // Derefs to rusqlite::Connection.
    conn.execute_batch("CREATE TABLE IF NOT EXISTS account (owner TEXT PRIMARY KEY, balance INTEGER NOT NULL)")?;
    conn.execute("INSERT OR REPLACE INTO account VALUES ('Ada', 100), ('Ben', 50)", [])?;
    drop(conn); // Back in the pool, with a clean session.

    // Commits if the closure says Ok, else rolls back; runs again if another writer was in the way.
    pool.transaction().retries(3).run(|tx| -> rusqlite::Result<()> {
        tx.execute("UPDATE account SET balance = balance - 30 WHERE owner = 'Ada'", [])?;
        tx.execute("UPDATE account SET balance = balance + 30 WHERE owner = 'Ben'", [])?;
        Ok(())
    })?;

    let ben: i64 = pool.get()?.query_row("SELECT balance FROM account WHERE owner = 'Ben'", [], |row| row.get(0))?;
    println!("Ben has {ben}.");
    println!("{}", pool.close_within(Duration::from_secs(1)));
    Ok(())
}
