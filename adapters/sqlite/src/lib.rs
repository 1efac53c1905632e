#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// What to open and how, and the contract with the pool.
mod manager;
mod open;
mod source;

// The connection, what its holders did to it, and how that is undone.
mod connection;
mod tracker;

mod baseline;
mod identity;
mod reset;

// The rest of the contract.
mod fault;
mod transaction;

// Ready-made pools.
mod pools;

pub use connection::Connection;
pub use manager::{JournalMode, SqliteManager};
pub use pools::{SqlitePools, SqlitePoolsBuilder, builder};
pub use transaction::TransactionMode;

pub use {cabrank, rusqlite};

/// A pool of SQLite connections. [`builder`] builds one with this crate's defaults.
pub type Pool = cabrank::Pool<SqliteManager>;

/// A borrowed SQLite connection.
pub type PooledConnection = cabrank::PooledConnection<SqliteManager>;
