//! SQLite has no log-in. What can change there is the key of an encrypted file, which SQLCipher takes in the same two
//! pragmas. The SQLite that is built in here passes over them and encrypts nothing: the program shows where they belong.

use crate::{Vault, story};
use anyhow::Result;
use cabrank_sqlite::{Pool, SqliteManager, rusqlite};
use std::path::Path;
use std::time::Duration;

pub(crate) fn run(path: &Path) -> Result<()> {
    let vault = Vault::default();
    let first = vault.rotate(|_| Ok(()))?;
    let admin = rusqlite::Connection::open(path)?;
    admin.pragma_update(None, "key", first)?;

    let key = vault.clone();
    // Runs on each new connection, before anything is read.
    let manager = SqliteManager::file(path).with_init(move |conn| conn.pragma_update(None, "key", key.token()));
    let pool = Pool::builder().max_size(2).from_env("DB_POOL_")?.build(manager)?;

    let rekey = |token: &str| Ok(admin.pragma_update(None, "rekey", token)?);
    story(&pool, &vault, |conn| conn.execute_batch("SELECT 1"), rekey)?;
    println!("closed: {}", pool.close_within(Duration::from_secs(5)));
    println!("the first token: not refused, for plain SQLite knows no keys");
    Ok(())
}
