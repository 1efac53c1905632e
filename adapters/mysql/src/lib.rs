//! MySQL and MariaDB connections for a [`cabrank`] pool. This file owns what is public and the order in which to read
//! the rest.
//!
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

// What to open and how, and the contract with the pool.
mod manager;
mod open;

// The connection, and what its holders met and left on it.
mod connection;
mod harmless;
mod health;
mod queryable;
mod traces;
mod transaction;
mod unseen;
mod words;

// Its line: looking at it, cutting it, cancelling what runs on it.
mod line;
#[cfg(unix)]
mod wire;
#[cfg(not(unix))]
#[path = "wire_unseen.rs"]
mod wire;

// The rest of the contract.
mod fault;
mod reset;

pub use connection::Connection;
pub use manager::MySqlManager;
pub use transaction::Transaction;
pub use {cabrank, mysql};

/// A pool of MySQL or MariaDB connections.
pub type Pool = cabrank::Pool<MySqlManager>;

/// A borrowed MySQL or MariaDB connection.
pub type PooledConnection = cabrank::PooledConnection<MySqlManager>;
