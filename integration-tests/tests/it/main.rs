//! The suite: what the pool and its adapters promise, held against each engine. `harness` runs it and tidies up.

mod fixtures;

use std::process::ExitCode;

fn main() -> ExitCode {
    integration_tests::harness::run(fixtures::cases())
}
