//! PgBouncer in front of the PostgreSQL server, for the tests of `transaction_pooler(true)`.

use crate::admin::Admin;
use crate::container::Container;
use crate::database::Database;
use crate::launch::Launch;
use anyhow::{Context, Result, bail};
use cabrank_testing::servers::Engine;
use std::thread;
use std::time::{Duration, Instant};
use url::Url;

/// A container of its own, for one test. Removed with the value.
#[derive(Debug)]
pub struct PgBouncer {
    container: Container,
}

impl PgBouncer {
    /// Puts one in transaction mode in front of a database's server. It keeps track of up to so many prepared statements
    /// of its clients; with 0 it knows none.
    pub fn start(database: &Database, max_prepared_statements: u32) -> Result<Self> {
        let server =
            database.server().container().context("a server that the environment names is out of its reach")?;
        let url = database.url();
        let mut launch =
            Launch::of_pgbouncer(&server.inner_address()?, url.username(), url.password().unwrap_or_default());
        launch.variables.push(("MAX_PREPARED_STATEMENTS", max_prepared_statements.to_string()));
        let bouncer = Self { container: Container::start(&launch)? };
        let begun = Instant::now();
        while let Err(error) = Admin::log_in(Engine::Postgres, &bouncer.url(database)) {
            if begun.elapsed() > Duration::from_secs(30) {
                bail!("PgBouncer lets nobody in: {error:#}\n{}", bouncer.container.log());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(bouncer)
    }

    /// Leads to the database through it.
    pub fn url(&self, database: &Database) -> Url {
        let (mut url, (host, port)) = (database.url(), self.container.address());
        url.set_host(Some(host)).expect("the URL of a server has a host");
        url.set_port(Some(port)).expect("the URL of a server takes a port");
        url
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let Err(error) = self.container.remove() {
            eprintln!("a container of PgBouncer stays behind: {error:#}");
        }
    }
}
