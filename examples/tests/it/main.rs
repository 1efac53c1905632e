//! Every program on every engine, run as a user would run it.
//!
//! SQLite is always there. PostgreSQL, MySQL and MariaDB are servers that `CABRANK_POSTGRES_URL`, `CABRANK_MYSQL_URL` and
//! `CABRANK_MARIADB_URL` name; what cannot run for want of them is counted as ignored.

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
