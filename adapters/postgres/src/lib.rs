//! PostgreSQL connections for a [`cabrank`] pool. This file has the public items and the reading order of the rest.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// Settings, and the contract with the pool.
mod manager;
mod source;
mod hosts;
mod role;
mod contract;
mod transaction;

// Opening a connection, resetting its session, and ending what runs on it.
mod open;
mod connector;
mod stream;
mod tap;
mod reset;
mod abort;

// The connection on loan.
mod connection;
mod statements;
mod unread;

// The holders' effects on the session.
mod tracker;
mod sql;
mod schema;
mod tokens;

// The basics: errors, the protocol, the socket.
mod fault;
mod error;
mod wire;
mod socket;

pub use abort::CancelToken;
pub use connection::Connection;
pub use manager::PostgresManager;
pub use role::Role;
pub use transaction::{Transaction, TransactionOptions};
pub use {cabrank, postgres};

/// A pool of PostgreSQL connections.
///
/// ```no_run
/// use cabrank_postgres::postgres::{Error, NoTls};
/// use cabrank_postgres::{Pool, PostgresManager};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().max_size(8).build(PostgresManager::from_url("postgres://app:secret@localhost/shop", NoTls)?)?;
///
/// let paid = pool.transaction().retries(3).run(|tx| -> Result<u64, Error> {
///     tx.execute("UPDATE account SET money = money - 100 WHERE id = $1", &[&7])
/// })?;
/// # let _ = paid;
/// # Ok(())
/// # }
/// ```
pub type Pool = cabrank::Pool<PostgresManager>;

/// A PostgreSQL connection on loan.
pub type PooledConnection = cabrank::PooledConnection<PostgresManager>;
