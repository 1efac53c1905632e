//! The SQLite example of the README: build a pool, run a statement, and a transaction in another thread, close the pool.
//!
//! Run it with `cargo run --bin quick_start`. It leaves the file `shop.db` in the current folder.

use cabrank_sqlite::{Pool, SqliteManager};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder().from_env("DB_POOL_")?.build(SqliteManager::file("shop.db").create(true))?;
    pool.get()?.execute_batch("CREATE TABLE IF NOT EXISTS visit (page TEXT)")?; // Derefs to rusqlite::Connection.
    let (clone, insert) = (pool.clone(), "INSERT INTO visit VALUES ('home')"); // Clones share one pool.
    std::thread::spawn(move || clone.transaction().retries(3).run(|tx| tx.execute(insert, []))).join().unwrap()?;
    println!("{}", pool.close_within(std::time::Duration::from_secs(1)));
    Ok(())
}
