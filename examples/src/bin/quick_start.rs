//! The SQLite example of the README: build a pool, run a statement and a transaction, close the pool.
//!
//! Run it with `cargo run --bin quick_start`. It leaves the file `shop.db` in the current folder.

use cabrank_sqlite::{Pool, SqliteManager};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder().from_env("DB_POOL_")?.build(SqliteManager::file("shop.db").create(true))?;
    pool.get()?.execute_batch("CREATE TABLE IF NOT EXISTS visit (page TEXT)")?; // Derefs to rusqlite::Connection.
    pool.transaction().retries(3).run(|tx| tx.execute("INSERT INTO visit VALUES ('home')", []))?;
    println!("{}", pool.close_within(std::time::Duration::from_secs(1)));
    Ok(())
}
