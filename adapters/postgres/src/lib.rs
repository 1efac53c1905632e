//! PostgreSQL connections for a [`cabrank`] pool. This file owns what is public and the order in which to read the rest.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// Where to connect and how, and the contract with the pool.
mod manager;
mod open;
mod source;

// The connection, and the statements it keeps.
mod connection;
mod statements;

// The line: how we get between the driver and its socket, what we read there, how it is aborted.
mod connector;
mod line;
mod stream;
mod tap;
mod wire;

// How a session is made new.
mod reset;

// The rest of the contract.
mod error;
mod fault;
mod transaction;

pub use connection::Connection;
pub use line::CancelToken;
pub use manager::PostgresManager;
pub use transaction::TransactionOptions;

pub use {cabrank, postgres};

/// A pool of PostgreSQL connections.
pub type Pool = cabrank::Pool<PostgresManager>;

/// A borrowed PostgreSQL connection.
pub type PooledConnection = cabrank::PooledConnection<PostgresManager>;
