//! MySQL and MariaDB connections for a [`cabrank`] pool. This file has the public items and the reading order of the rest.
//!
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

// Settings, and the contract with the pool.
mod manager;
mod source;
mod hosts;
mod role;
mod contract;
mod transaction;

// Opening a connection and its time limits, resetting its session, and ending what runs on it.
mod open;
mod bounds;
mod reset;
mod abort;

// The connection on loan.
mod connection;
mod queryable;
mod statements;

// The holders' effects on the session.
mod tracker;
mod sql;
mod health;
mod questions;
mod baseline;
mod schema;

// The basics: errors, the socket.
mod fault;
mod error;
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
