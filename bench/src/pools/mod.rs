//! The peers: one file for each, with its complete set-up, and the trait by which all are measured.
//!
//! Settings are each pool's defaults except for its size, unless the name says otherwise (`r2d2_unchecked`, `deadpool_verified`) or a
//! case requires the same of all (a time-out of three seconds, no connection opened in advance).

pub mod bb8;
pub mod cabrank;
pub mod deadpool;
pub mod hikaricp;
pub mod mysql_pool;
pub mod own;
pub mod r2d2;
pub mod sqlx;
pub mod stub;

use crate::load::{Failure, Load, Outcome};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::time::Duration;
pub use stub::Stub;

/// A pool ready for a load.
pub trait Peer: Send + Sync {
    /// Its name in the report.
    fn name(&self) -> &'static str;

    /// Returns when the last borrower is done.
    fn run(&self, load: &Load) -> Result<Outcome>;
}

/// Where the connections lead.
#[derive(Clone)]
pub enum Target {
    /// A driver that does nothing.
    Stub(Stub),
    /// PostgreSQL, with the table of `servers`.
    Postgres(String),
    /// MySQL or MariaDB, with the tables of `servers`.
    Mysql(String),
    /// A file with that table.
    Sqlite(PathBuf),
}

/// How to set up a pool.
#[derive(Clone)]
pub struct Setup {
    pub target: Target,
    pub size: u32,
    /// Connections that the pool opens in advance; `None` for its default.
    pub min_idle: Option<u32>,
    /// How long `get` may take; `None` for the pool's default.
    pub timeout: Option<Duration>,
    /// The number of pools, used in turn. More than one only for cabrank and r2d2 with a driver that does nothing.
    pub pools: usize,
    /// Whether borrowers are tasks even with a driver that does nothing; for cabrank, deadpool and bb8.
    pub tasks: bool,
}

impl Setup {
    pub fn new(target: Target, size: u32) -> Self {
        Self { target, size, min_idle: None, timeout: None, pools: 1, tasks: false }
    }

    /// Opens no connection in advance.
    pub fn cold(self) -> Self {
        Self { min_idle: Some(0), ..self }
    }

    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }
}

/// Builds the peer of that name. Fails if it does not support the target, or is not available here.
pub fn build(name: &str, setup: &Setup) -> Result<Box<dyn Peer>> {
    match name {
        "cabrank" => cabrank::build(setup),
        "r2d2" => r2d2::build(setup, true),
        "r2d2_unchecked" => r2d2::build(setup, false),
        "deadpool" => deadpool::build(setup, false),
        "deadpool_verified" => deadpool::build(setup, true),
        "bb8" => bb8::build(setup),
        "hikaricp" => hikaricp::build(setup),
        "sqlx" => sqlx::build(setup),
        "mysql_pool" => mysql_pool::build(setup),
        "own_connection" => own::build(setup),
        _ => bail!("no peer is named {name}"),
    }
}

/// Peers with a driver that does nothing.
pub const ON_STUB: &[&str] = &["cabrank", "r2d2", "deadpool", "bb8", "hikaricp"];
pub const ON_POSTGRES: &[&str] = &["cabrank", "r2d2", "r2d2_unchecked", "deadpool", "sqlx", "own_connection"];
pub const ON_MYSQL: &[&str] = &["cabrank", "r2d2", "r2d2_unchecked", "mysql_pool", "own_connection"];
pub const ON_SQLITE: &[&str] = &["cabrank", "r2d2", "r2d2_unchecked", "own_connection"];

/// For peers that no case asks to insert.
pub fn no_insert() -> Result<(), Failure> {
    Err("no case has this peer insert".into())
}

/// The read by primary key, in each engine's syntax.
pub const READ_POSTGRES: &str = "SELECT balance FROM account WHERE id = $1";
pub const READ_OTHERS: &str = "SELECT balance FROM account WHERE id = ?";
/// The insert into a table with `AUTO_INCREMENT`.
pub const INSERT_MYSQL: &str = "INSERT INTO numbered (x) VALUES (?)";
/// The insert into the table of a primary and its standby.
pub const INSERT_POSTGRES: &str = "INSERT INTO written VALUES (7)";
/// The row to read, and the value to insert.
pub const ROW: i32 = 7;
