//! The suite: what the pool and its adapters promise, held against each engine. `harness` runs it and tidies up.
//!
//! A module holds what belongs to one promise, written once against `subject`; an engine joins with a subject of its own
//! and one line below.

// What a test may ask of an engine, and the engines.
mod mysql;
mod postgres;
mod sqlite;
mod subject;

// The suite.
mod closing;
mod exhaustion;
mod expiry;
mod hygiene;
mod recovery;
mod transactions;

// What it stands on.
mod cases;
mod fixtures;
mod watch;

use std::process::ExitCode;

use integration_tests::Case;
use subject::{Remote, Subject};

fn main() -> ExitCode {
    let mut cases = fixtures::cases();
    suite::<sqlite::Sqlite>(&mut cases);
    suite::<postgres::Postgres>(&mut cases);
    suite::<mysql::MySql>(&mut cases);
    suite::<mysql::MariaDb>(&mut cases);
    remote::<postgres::Postgres>(&mut cases);
    remote::<mysql::MySql>(&mut cases);
    remote::<mysql::MariaDb>(&mut cases);
    integration_tests::harness::run(cases)
}

fn suite<S: Subject>(cases: &mut Vec<Case>) {
    exhaustion::cases::<S>(cases);
    expiry::cases::<S>(cases);
    hygiene::cases::<S>(cases);
    transactions::cases::<S>(cases);
    closing::cases::<S>(cases);
}

/// What only an engine behind a network can suffer.
fn remote<S: Remote>(cases: &mut Vec<Case>) {
    recovery::cases::<S>(cases);
}
