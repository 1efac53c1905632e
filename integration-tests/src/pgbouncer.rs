//! PgBouncer in front of the PostgreSQL server, for the tests of `transaction_pooler(true)`.

use crate::admin::Admin;
use crate::container::Container;
use crate::database::Database;
use crate::engine;
use crate::engine::Engine;
use anyhow::{Context, Result, bail};
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
        let (host, prepared) = (server.inner_address()?, max_prepared_statements.to_string());
        let url = database.url();
        let variables = [
            ("DB_HOST", host.as_str()),
            ("DB_USER", url.username()),
            ("DB_PASSWORD", url.password().unwrap_or_default()),
            ("AUTH_TYPE", "scram-sha-256"),
            ("POOL_MODE", "transaction"),
            ("MAX_PREPARED_STATEMENTS", &prepared),
        ];
        let image = engine::image("CABRANK_PGBOUNCER_IMAGE", "edoburu/pgbouncer:v1.25.1-p0");
        let bouncer = Self { container: Container::start(&image, 5432, &variables, &[])? };
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
