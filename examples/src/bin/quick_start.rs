//! The example of the README: open a pool, ask, transfer.

use cabrank_sqlite::{Pool, SqliteManager, rusqlite};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let manager = SqliteManager::file(directory.path().join("bank.db")).create(true);
    let pool = Pool::builder().max_size(4).build(manager)?;

    let conn = pool.get()?; // Derefs to rusqlite::Connection.
    conn.execute_batch("CREATE TABLE account (owner TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0))")?;
    conn.execute("INSERT INTO account VALUES ('Ada', 100), ('Ben', 50)", [])?;
    drop(conn); // Back in the pool, with a clean session.

    // Commits if the closure says Ok, else rolls back; runs again if another writer was in the way.
    pool.transaction().retries(3).run(|tx| -> rusqlite::Result<()> {
        tx.execute("UPDATE account SET balance = balance - 30 WHERE owner = 'Ada'", [])?;
        tx.execute("UPDATE account SET balance = balance + 30 WHERE owner = 'Ben'", [])?;
        Ok(())
    })?;

    let ben: i64 = pool.get()?.query_row("SELECT balance FROM account WHERE owner = 'Ben'", [], |row| row.get(0))?;
    println!("Ben has {ben}.");
    Ok(())
}
