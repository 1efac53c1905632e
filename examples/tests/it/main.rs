//! Runs every program on every engine, as a user would.
//!
//! SQLite needs no server. `CABRANK_POSTGRES_URL`, `CABRANK_MYSQL_URL` and `CABRANK_MARIADB_URL` name the servers for the other engines.
//! Tests without their server count as ignored.

mod place;
mod program;

mod demo;
mod settings;
mod small;

#[cfg(unix)]
mod probes;
#[cfg(unix)]
mod scraped;
#[cfg(unix)]
mod service;
#[cfg(unix)]
mod watched;
#[cfg(unix)]
mod web;

use std::process::ExitCode;

fn main() -> ExitCode {
    cabrank_testing::harness::run([
        demo::tests(),
        settings::tests(),
        small::tests(),
        #[cfg(unix)]
        probes::tests(),
        #[cfg(unix)]
        scraped::tests(),
        #[cfg(unix)]
        watched::tests(),
        #[cfg(unix)]
        web::tests(),
    ])
}
