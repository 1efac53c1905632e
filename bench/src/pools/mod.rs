//! The peers: one file for each, which holds all of its set-up, and the one trait by which they are measured.
//!
//! Settings are each pool's defaults but for its size, unless the name says otherwise (`r2d2_unchecked`, `deadpool_verified`) or a
//! case needs the same of all (a time-out of three seconds, no connection opened ahead).

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

/// A pool that is ready to be put under a load.
pub trait Peer: Send + Sync {
    /// As in the report.
    fn name(&self) -> &'static str;

    /// Returns when the last borrower is done.
    fn run(&self, load: &Load) -> Result<Outcome>;
}

/// Where connections lead.
#[derive(Clone)]
pub enum Target {
    /// To a driver that does nothing.
    Stub(Stub),
    /// To PostgreSQL, with the table of `servers`.
    Postgres(String),
    /// To MySQL or MariaDB, with the tables of `servers`.
    Mysql(String),
    /// To a file with that table.
    Sqlite(PathBuf),
}

/// What a pool is to be like.
#[derive(Clone)]
pub struct Setup {
    pub target: Target,
    pub size: u32,
    /// As many connections as the pool opens ahead of being asked; `None` for its default.
    pub min_idle: Option<u32>,
    /// How long `get` may take; `None` for the pool's default.
    pub timeout: Option<Duration>,
    /// So many pools, each asked in turn; for cabrank and r2d2 with a driver that does nothing.
    pub pools: usize,
    /// The borrowers are tasks, with a driver that does nothing, too; for cabrank, deadpool and bb8.
    pub tasks: bool,
}

impl Setup {
    pub fn new(target: Target, size: u32) -> Self {
        Self { target, size, min_idle: None, timeout: None, pools: 1, tasks: false }
    }

    /// Nothing open ahead.
    pub fn cold(self) -> Self {
        Self { min_idle: Some(0), ..self }
    }

    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }
}

/// Builds the peer of that name; an error if it does not exist for that target, or cannot be had here.
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
        _ => bail!("no peer is called {name}"),
    }
}

/// Those with a driver that does nothing.
pub const ON_STUB: &[&str] = &["cabrank", "r2d2", "deadpool", "bb8", "hikaricp"];
pub const ON_POSTGRES: &[&str] = &["cabrank", "r2d2", "r2d2_unchecked", "deadpool", "sqlx", "own_connection"];
pub const ON_MYSQL: &[&str] = &["cabrank", "r2d2", "r2d2_unchecked", "mysql_pool", "own_connection"];
pub const ON_SQLITE: &[&str] = &["cabrank", "r2d2", "r2d2_unchecked", "own_connection"];

/// What is told of a peer that no case asks to insert.
pub fn no_insert() -> Result<(), Failure> {
    Err("this one is not asked to insert".into())
}

/// The read by primary key, in each engine's words.
pub const READ_POSTGRES: &str = "SELECT balance FROM account WHERE id = $1";
pub const READ_OTHERS: &str = "SELECT balance FROM account WHERE id = ?";
/// The insert into a table with `AUTO_INCREMENT`.
pub const INSERT_MYSQL: &str = "INSERT INTO numbered (x) VALUES (?)";
/// The insert into the table of a primary and its standby.
pub const INSERT_POSTGRES: &str = "INSERT INTO written VALUES (7)";
/// The row that is read, and what is inserted.
pub const ROW: i32 = 7;
