//! PostgreSQL connections for a [`cabrank`] pool. This file has the public items and the reading order of the rest.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// Settings, and the contract with the pool.
mod contract;
mod hosts;
mod manager;
mod role;
mod source;
mod transaction;

// Opening a connection, resetting its session, and ending what runs on it.
mod abort;
mod connector;
mod open;
mod reset;
mod stream;
mod tap;

// The connection on loan.
mod connection;
mod statements;
mod unread;

// The holders' effects on the session.
mod schema;
mod sql;
mod tokens;
mod tracker;

// The basics: errors, the protocol, the socket.
mod error;
mod fault;
mod socket;
mod wire;

pub use abort::CancelToken;
pub use connection::Connection;
pub use manager::PostgresManager;
pub use role::Role;
pub use transaction::{Transaction, TransactionOptions};
pub use {cabrank, postgres};

/// A pool of PostgreSQL connections.
pub type Pool = cabrank::Pool<PostgresManager>;

/// A PostgreSQL connection on loan.
pub type PooledConnection = cabrank::PooledConnection<PostgresManager>;
