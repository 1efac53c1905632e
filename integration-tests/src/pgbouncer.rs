//! PgBouncer in front of a PostgreSQL server: in transaction mode for the tests of `transaction_pooler(true)`, in session mode for a test
//! of the role that it reports.

use crate::admin::Admin;
use crate::container::Container;
use crate::database::Database;
use crate::launch::{Launch, PASSWORD};
use crate::pair::Pair;
use crate::running::Running;
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
    /// Starts one in transaction mode in front of a database's server. It tracks up to this many prepared statements of its clients; with
    /// 0, none.
    pub fn start(database: &Database, max_prepared_statements: u32) -> Result<Self> {
        let server =
            database.server().container().context("a server that the environment names is out of its reach")?;
        let url = database.url();
        let mut launch =
            Launch::of_pgbouncer(&server.inner_address()?, url.username(), url.password().unwrap_or_default());
        launch.variables.push(("MAX_PREPARED_STATEMENTS", max_prepared_statements.to_string()));
        let bouncer = Self { container: Container::start(&launch)? };
        bouncer.wait_until_ready(&bouncer.url(database))?;
        Ok(bouncer)
    }

    /// Starts one in session mode in front of one server of a pair, for the user under test.
    pub fn lending_sessions(pair: &Pair, server: &Running) -> Result<Self> {
        let address = server.container().context("it is a container of ours")?.inner_address()?;
        let mut launch = Launch::of_pgbouncer(&address, Pair::USER, PASSWORD);
        launch.variables.retain(|(name, _)| *name != "POOL_MODE");
        launch.variables.push(("POOL_MODE", "session".to_owned()));
        let bouncer = Self { container: Container::start(&launch)? };
        bouncer.wait_until_ready(&bouncer.url_of(pair).parse()?)?;
        Ok(bouncer)
    }

    fn wait_until_ready(&self, url: &Url) -> Result<()> {
        let begun = Instant::now();
        while let Err(error) = Admin::log_in(Engine::Postgres, url) {
            if begun.elapsed() > Duration::from_secs(30) {
                bail!("PgBouncer accepts no login: {error:#}\n{}", self.container.log());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// A URL that leads through it to the server of a pair, as the user under test.
    pub fn url_of(&self, pair: &Pair) -> String {
        let (host, port) = self.container.address();
        pair.url_at(format!("{host}:{port}"))
    }

    /// A URL that leads through it to the database.
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
            eprintln!("a container of PgBouncer could not be removed: {error:#}");
        }
    }
}
