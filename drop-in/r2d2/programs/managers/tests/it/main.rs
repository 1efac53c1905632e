//! Other crates on r2d2, with the pool of this repository in its place: the managers for three drivers, and `redis`, whose client is
//! itself a manager. Each is first used as its README shows.

mod mysql;
mod postgres;
mod redis;
mod sqlite;
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    cabrank_testing::harness::run([mysql::tests(), postgres::tests(), redis::tests(), sqlite::tests()])
}
