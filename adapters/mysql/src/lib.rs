//! MySQL and MariaDB connections for a [`cabrank`] pool. This file has the public items and the reading order of the rest.
//!
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

// Implementations of the pool's traits and the driver's. Each group uses only the groups below it.
mod contract;
mod transaction;
mod queryable;

// Opening a connection, resetting its session, and ending what runs on it.
mod open;
mod reset;
mod abort;

// The connection on loan.
mod connection;
mod statements;

// Settings, and time limits derived from them.
mod manager;
mod source;
mod hosts;
mod role;
mod bounds;

// The session: its state at the opening, the holders' effects on it, and the adapter's own queries.
mod tracker;
mod health;
mod questions;
mod baseline;
mod schema;

// The effect of a text.
mod sql;

// Errors.
mod fault;
mod error;

// The socket.
mod socket;

pub use connection::Connection;
pub use manager::MySqlManager;
pub use role::Role;
pub use transaction::Transaction;
pub use {cabrank, mysql};

/// A pool of MySQL or MariaDB connections.
///
/// ```no_run
/// use cabrank_mysql::mysql::{Result, prelude::Queryable};
/// use cabrank_mysql::{MySqlManager, Pool};
///
/// # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().max_size(8).build(MySqlManager::from_url("mysql://app:secret@localhost/shop")?)?;
///
/// pool.transaction().retries(3).run(|tx| -> Result<()> {
///     tx.exec_drop("UPDATE account SET money = money - 100 WHERE id = ?", (7,))
/// })?;
/// # Ok(())
/// # }
/// ```
pub type Pool = cabrank::Pool<MySqlManager>;

/// A MySQL or MariaDB connection on loan.
pub type PooledConnection = cabrank::PooledConnection<MySqlManager>;
