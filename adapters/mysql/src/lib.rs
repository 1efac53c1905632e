//! MySQL and MariaDB connections for a [`cabrank`] pool. This file owns what is public and the order in which to read
//! the rest.
//!
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

// The settings, and the contract with the pool.
mod contract;
mod hosts;
mod manager;
mod role;
mod source;
mod transaction;

// Opening a connection and how long that may take, making its session new, ending what hangs on it.
mod abort;
mod bounds;
mod open;
mod reset;

// The connection that is lent.
mod connection;
mod queryable;
mod statements;

// What its holders do to the session.
mod baseline;
mod health;
mod questions;
mod schema;
mod sql;
mod tracker;

// The ground: errors, the socket.
mod error;
mod fault;
mod socket;

pub use connection::Connection;
pub use manager::MySqlManager;
pub use role::Role;
pub use transaction::Transaction;
pub use {cabrank, mysql};

/// A pool of MySQL or MariaDB connections.
pub type Pool = cabrank::Pool<MySqlManager>;

/// A borrowed MySQL or MariaDB connection.
pub type PooledConnection = cabrank::PooledConnection<MySqlManager>;
