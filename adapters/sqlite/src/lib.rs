//! SQLite connections for a [`cabrank`] pool. This file owns what is public and the order in which to read the rest.
//!
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

// Ready-made pools.
mod pools;

// The settings, and the contract with the pool.
mod contract;
mod manager;
mod source;
mod transaction;

// Opening a connection, making its session new, ending what hangs on it.
mod abort;
mod open;
mod reset;

// The connection that is lent.
mod connection;

// What its holders do to the session.
mod baseline;
mod hooks;
mod identity;
mod tokens;
mod tracker;
mod watch;

// What SQLite's pragmas do.
mod pragmas;

// The ground: errors.
mod error;
mod fault;

pub use connection::Connection;
pub use manager::{JournalMode, SqliteManager};
pub use pools::{SqlitePools, SqlitePoolsBuilder};
pub use tokens::InterruptHandle;
pub use transaction::{Transaction, TransactionMode};
pub use {cabrank, rusqlite};

/// A pool of SQLite connections.
pub type Pool = cabrank::Pool<SqliteManager>;

/// A borrowed SQLite connection.
pub type PooledConnection = cabrank::PooledConnection<SqliteManager>;
