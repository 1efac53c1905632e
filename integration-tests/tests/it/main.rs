//! The suite: tests the guarantees of the pool and its adapters on each engine. `harness` runs it and removes the containers.
//!
//! Each module has the tests of one guarantee, written once against `subject`. An engine joins with its own subject and one line below.

// The interface to an engine, and the engines.
mod mysql;
mod postgres;
mod sqlite;
mod subject;

// The suite.
mod cancelling;
mod closing;
mod exhaustion;
mod expiry;
mod hygiene;
mod nesting;
mod transactions;

// Tests that need an engine behind a network.
mod frozen;
mod manifest;
mod metrics;
mod recovery;
mod slips;
mod statements;
mod storm;
mod wire;

// The suite's own foundations.
mod canaries;
mod cases;
mod fixtures;
mod watch;

use integration_tests::Case;
use std::process::ExitCode;
use subject::{Remote, Subject};

fn main() -> ExitCode {
    let mut cases = fixtures::cases();
    suite::<sqlite::Sqlite>(&mut cases);
    remote_suite::<postgres::Postgres>(&mut cases);
    remote_suite::<mysql::MySql>(&mut cases);
    remote_suite::<mysql::MariaDb>(&mut cases);
    statements::cases::<mysql::MySql>(&mut cases);
    statements::cases::<mysql::MariaDb>(&mut cases);
    statements::mysql_cases::<mysql::MySql>(&mut cases);
    cases.extend(canaries::cases());
    cases.extend(wire::cases());
    cases.extend(metrics::cases());
    recovery::failover_cases(&mut cases);
    storm::longer_cases(&mut cases);
    manifest::cases(&mut cases);
    recovery::read_only_cases::<mysql::MySql>(&mut cases);
    recovery::read_only_cases::<mysql::MariaDb>(&mut cases);
    integration_tests::harness::run(cases)
}

fn suite<S: Subject>(cases: &mut Vec<Case>) {
    exhaustion::cases::<S>(cases);
    expiry::cases::<S>(cases);
    hygiene::cases::<S>(cases);
    transactions::cases::<S>(cases);
    nesting::cases::<S>(cases);
    closing::cases::<S>(cases);
    cancelling::cases::<S>(cases);
}

fn remote_suite<S: Remote>(cases: &mut Vec<Case>) {
    suite::<S>(cases);
    expiry::remote_cases::<S>(cases);
    transactions::remote_cases::<S>(cases);
    nesting::remote_cases::<S>(cases);
    closing::remote_cases::<S>(cases);
    slips::cases::<S>(cases);
    recovery::cases::<S>(cases);
    frozen::cases::<S>(cases);
    storm::cases::<S>(cases);
}
