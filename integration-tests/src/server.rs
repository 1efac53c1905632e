//! One server for each engine and run: the one that the environment names, or a container. Started on first use.
//!
//! Tests share it; a test that stops or pauses it has it alone, and it runs again afterwards.

use crate::admin::Admin;
use crate::container::Container;
use crate::running::{PATIENCE, Running};
use anyhow::{Context, Result, anyhow};
use cabrank_testing::servers::Engine;
use std::net::SocketAddr;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};
use url::Url;

/// A server that accepts logins.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    running: Running,
    /// Shared by tests that use the server, exclusive for a test that stops or pauses it.
    lease: RwLock<()>,
    started_in: Duration,
}

impl Server {
    /// The engine's server in this run. If there is none, fails each time with the same message.
    pub fn of(engine: Engine) -> Result<&'static Self> {
        let slot = &SERVERS[engine as usize];
        slot.get_or_init(|| Self::start(engine).map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|text| anyhow!("{text}"))
    }

    /// Its engine.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The URL of the default database, with a user who has all rights.
    pub fn url(&self) -> &Url {
        self.running.url()
    }

    /// Host and port, for a proxy to connect to.
    pub fn address(&self) -> (String, u16) {
        let host = self.url().host_str().unwrap_or("127.0.0.1").to_owned();
        (host, self.url().port().unwrap_or(self.default_port()))
    }

    /// The server's own address on Docker's network. Fails if the environment named the server.
    pub fn inner_address(&self) -> Result<SocketAddr> {
        Ok(SocketAddr::new(self.ours()?.inner_address()?.parse()?, self.default_port()))
    }

    /// How long it took from the start to the first login.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// A new login through the plain driver.
    pub fn log_in(&self) -> Result<Admin> {
        self.running.log_in()
    }

    /// The container, if the server is ours to stop.
    pub fn container(&self) -> Option<&Container> {
        self.running.container()
    }

    /// Stops the server in an orderly way and starts it again. Returns once a login succeeds.
    pub fn restart(&self) -> Result<()> {
        self.ours()?.stop()?;
        self.start_again()
    }

    /// Kills the server and starts it again. Returns once it has recovered and a login succeeds.
    pub fn crash(&self) -> Result<()> {
        self.ours()?.kill()?;
        self.start_again()
    }

    /// Kills the server, which stays down.
    pub fn kill(&self) -> Result<()> {
        self.ours()?.kill()
    }

    /// Starts it after [`kill`](Self::kill). Returns once a login succeeds.
    pub fn start_again(&self) -> Result<()> {
        self.ours()?.start_again()?;
        self.wait_until_ready()
    }

    /// Freezes the server: connections stay open, new ones are accepted by the system, and nothing answers.
    pub fn pause(&self) -> Result<()> {
        self.ours()?.pause()
    }

    /// Lets it continue. Returns once a login succeeds.
    pub fn unpause(&self) -> Result<()> {
        self.ours()?.unpause()?;
        self.wait_until_ready()
    }

    /// Shares the server with other tests.
    pub(crate) fn share(&self) -> RwLockReadGuard<'_, ()> {
        self.lease.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Excludes all others, and leaves them a running server even if the test panics halfway.
    pub(crate) fn alone(&self) -> Alone<'_> {
        Alone { server: self, _lease: self.lease.write().unwrap_or_else(PoisonError::into_inner) }
    }

    fn start(engine: Engine) -> Result<Self> {
        let begun = Instant::now();
        let running = Running::find(engine)?;
        let server = Self { engine, running, lease: RwLock::new(()), started_in: begun.elapsed() };
        println!(
            "{engine}: {} accepted a login after {:.1} s",
            server.running.whence(),
            server.started_in.as_secs_f64()
        );
        Ok(server)
    }

    fn wait_until_ready(&self) -> Result<()> {
        self.running.wait_until_ready(PATIENCE, || false)
    }

    fn default_port(&self) -> u16 {
        if self.engine() == Engine::Postgres { 5432 } else { 3306 }
    }

    fn ours(&self) -> Result<&Container> {
        self.running
            .container()
            .with_context(|| format!("{} names a server that is not ours to stop", self.engine().url_variable()))
    }
}

/// While it lives, no other test uses the server.
pub(crate) struct Alone<'a> {
    server: &'a Server,
    _lease: RwLockWriteGuard<'a, ()>,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let Some(container) = self.server.container() else { return };
        // Unpausing a server that is not paused, and starting one that runs, are errors.
        let _ = container.unpause();
        let _ = container.start_again();
        if let Err(error) = self.server.wait_until_ready() {
            eprintln!("a test has broken the {} server for those after it: {error:#}", self.server.engine());
        }
    }
}

/// Removes the containers of this run.
pub(crate) fn remove_all() {
    for server in SERVERS.iter().filter_map(|slot| slot.get()?.as_ref().ok()) {
        if let Some(Err(error)) = server.container().map(Container::remove) {
            eprintln!("the container of {} could not be removed: {error:#}", server.engine());
        }
    }
}

/// Statics are never dropped, so `harness::run` calls `remove_all` after the last test.
static SERVERS: [OnceLock<Result<Server, String>>; 4] = [const { OnceLock::new() }; 4];
