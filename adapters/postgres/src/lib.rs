//! PostgreSQL connections for a [`cabrank`] pool. This file owns what is public and the order in which to read the rest.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// The settings, and the contract with the pool.
mod contract;
mod hosts;
mod manager;
mod role;
mod source;
mod transaction;

// Opening a connection, making its session new, ending what hangs on it.
mod abort;
mod connector;
mod open;
mod reset;
mod stream;
mod tap;

// The connection that is lent.
mod connection;
mod statements;
mod unread;

// What its holders do to the session.
mod schema;
mod sql;
mod tokens;
mod tracker;

// The ground: errors, the protocol, the socket.
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

/// A borrowed PostgreSQL connection.
pub type PooledConnection = cabrank::PooledConnection<PostgresManager>;
