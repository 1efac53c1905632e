//! SQLite connections for a [`cabrank`] pool. This file has the public items and the reading order of the rest.
//!
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

// Ready-made pools.
mod pools;

// Settings, and the contract with the pool.
mod manager;
mod source;
mod contract;
mod transaction;

// Opening a connection, resetting its session, and ending what runs on it.
mod open;
mod reset;
mod abort;

// The connection on loan.
mod connection;

// The holders' effects on the session.
mod tracker;
mod hooks;
mod watch;
mod baseline;
mod identity;
mod tokens;

// The effects of SQLite's pragmas.
mod pragmas;

// The basics: errors.
mod fault;
mod error;

pub use connection::Connection;
pub use manager::{JournalMode, SqliteManager};
pub use pools::{SqlitePools, SqlitePoolsBuilder};
pub use tokens::InterruptHandle;
pub use transaction::{Transaction, TransactionMode};
pub use {cabrank, rusqlite};

/// A pool of SQLite connections.
///
/// ```
/// use cabrank_sqlite::{Pool, SqliteManager, rusqlite};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().max_size(8).build(SqliteManager::memory())?;
/// pool.get()?.execute_batch("CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER NOT NULL)")?;
///
/// let id = pool.transaction().retries(3).run(|tx| -> rusqlite::Result<i64> {
///     tx.execute("INSERT INTO account (money) VALUES (100)", [])?;
///     Ok(tx.last_insert_rowid())
/// })?;
/// assert_eq!(id, 1);
/// # Ok(())
/// # }
/// ```
pub type Pool = cabrank::Pool<SqliteManager>;

/// A SQLite connection on loan.
pub type PooledConnection = cabrank::PooledConnection<SqliteManager>;
