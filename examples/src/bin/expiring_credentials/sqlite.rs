//! SQLite has no log-in. The key of an encrypted file can change, which SQLCipher takes in the two pragmas below. The plain SQLite of
//! this build ignores them and encrypts nothing: the program only shows their place.

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
    // Runs on each new connection, before it reads anything.
    let manager = SqliteManager::file(path).with_init(move |conn| conn.pragma_update(None, "key", key.token()));
    let pool = Pool::builder().max_size(2).from_env("DB_POOL_")?.build(manager)?;

    let rekey = |token: &str| Ok(admin.pragma_update(None, "rekey", token)?);
    story(&pool, &vault, |conn| conn.execute_batch("SELECT 1"), rekey)?;
    println!("the pool is closed: {}", pool.close_within(Duration::from_secs(5)));
    println!("the first token is not refused: plain SQLite has no keys");
    Ok(())
}
