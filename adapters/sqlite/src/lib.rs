//! SQLite connections for a [`cabrank`] pool. This file owns what is public and the order in which to read the rest.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// What to open and how, and the contract with the pool.
mod manager;
mod open;
mod source;

// The connection, and what its holders did to it.
mod connection;
mod tracker;

// How that is undone, and what cannot be.
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
pub use pools::{SqlitePools, SqlitePoolsBuilder};
pub use transaction::TransactionMode;
pub use {cabrank, rusqlite};

/// A pool of SQLite connections.
pub type Pool = cabrank::Pool<SqliteManager>;

/// A borrowed SQLite connection.
pub type PooledConnection = cabrank::PooledConnection<SqliteManager>;
