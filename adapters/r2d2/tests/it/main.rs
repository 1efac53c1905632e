//! r2d2's managers on a cabrank pool: a made-up one, and those for three drivers and for Diesel on real servers.

mod diesel;
mod made_up;
mod mysql;
mod postgres;
mod sqlite;

use std::process::ExitCode;

fn main() -> ExitCode {
    cabrank_testing::harness::run([
        diesel::tests(),
        made_up::tests(),
        mysql::tests(),
        postgres::tests(),
        sqlite::tests(),
    ])
}

/// The URL of this engine's server. Skips the test without a server.
fn url_of(engine: cabrank_testing::servers::Engine) -> String {
    if !engine.is_chosen() {
        cabrank_testing::harness::skip(format!("CABRANK_ENGINE is not {engine}"));
    }
    cabrank_testing::servers::url(&engine.url_variable()).unwrap_or_else(|why| cabrank_testing::harness::skip(why))
}
