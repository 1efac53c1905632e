#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// What to open and how, and the contract with the pool.
mod manager;
mod open;
mod source;

// The connection, what its holders did to it, and how that is undone.
mod connection;
mod tracker;

mod baseline;
mod identity;
mod reset;

// The rest of the contract.
mod fault;
mod transaction;

pub use connection::Connection;
pub use manager::{JournalMode, SqliteManager};
pub use transaction::TransactionMode;

pub use {cabrank, rusqlite};
