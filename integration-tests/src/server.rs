//! One server for each engine and run: the one that the environment names, or a container. Started when first asked for.
//!
//! Tests share it; one that stops or pauses it has it alone, and it is whole again afterwards.

use crate::admin::Admin;
use crate::container::Container;
use crate::running::{PATIENCE, Running};
use anyhow::{Context, Result, anyhow};
use cabrank_testing::servers::Engine;
use std::net::SocketAddr;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};
use url::Url;

/// A server that lets us in.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    running: Running,
    /// Shared by tests that use the server, exclusive for a test that stops or pauses it.
    lease: RwLock<()>,
    started_in: Duration,
}

impl Server {
    /// The engine's server in this run. Fails each time with the same message if there is none.
    pub fn of(engine: Engine) -> Result<&'static Self> {
        let slot = &SERVERS[engine as usize];
        slot.get_or_init(|| Self::start(engine).map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|text| anyhow!("{text}"))
    }

    /// Which engine's it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The URL of the database that is always there, with a user who may do everything.
    pub fn url(&self) -> &Url {
        self.running.url()
    }

    /// Host and port, for a proxy to connect to.
    pub fn address(&self) -> (String, u16) {
        let host = self.url().host_str().unwrap_or("127.0.0.1").to_owned();
        (host, self.url().port().unwrap_or(self.default_port()))
    }

    /// Where the server itself listens, on Docker's own network. Fails if the environment named the server.
    pub fn inner_address(&self) -> Result<SocketAddr> {
        Ok(SocketAddr::new(self.ours()?.inner_address()?.parse()?, self.default_port()))
    }

    /// How long it took from nothing to the first login.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// A new login by the plain driver.
    pub fn log_in(&self) -> Result<Admin> {
        self.running.log_in()
    }

    /// The container, if the server is ours to stop.
    pub fn container(&self) -> Option<&Container> {
        self.running.container()
    }

    /// Stops the server in good order and starts it again. Returns when it lets us in.
    pub fn restart(&self) -> Result<()> {
        self.ours()?.stop()?;
        self.start_again()
    }

    /// Kills the server and starts it again. Returns when it has recovered and lets us in.
    pub fn crash(&self) -> Result<()> {
        self.ours()?.kill()?;
        self.start_again()
    }

    /// Kills the server, which stays down.
    pub fn kill(&self) -> Result<()> {
        self.ours()?.kill()
    }

    /// Starts it after [`kill`](Self::kill). Returns when it lets us in.
    pub fn start_again(&self) -> Result<()> {
        self.ours()?.start_again()?;
        self.wait_until_ready()
    }

    /// Freezes the server: connections stay open, new ones are accepted by the system, and nothing answers.
    pub fn pause(&self) -> Result<()> {
        self.ours()?.pause()
    }

    /// Lets it go on. Returns when it lets us in.
    pub fn unpause(&self) -> Result<()> {
        self.ours()?.unpause()?;
        self.wait_until_ready()
    }

    /// Shares the server with others who do the same.
    pub(crate) fn share(&self) -> RwLockReadGuard<'_, ()> {
        self.lease.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps all others out, and leaves them a server that runs, also when the test panics halfway.
    pub(crate) fn alone(&self) -> Alone<'_> {
        Alone { server: self, _lease: self.lease.write().unwrap_or_else(PoisonError::into_inner) }
    }

    fn start(engine: Engine) -> Result<Self> {
        let begun = Instant::now();
        let running = Running::find(engine)?;
        let server = Self { engine, running, lease: RwLock::new(()), started_in: begun.elapsed() };
        println!("{engine}: {} lets us in after {:.1} s", server.running.whence(), server.started_in.as_secs_f64());
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

/// The server is ours alone while this lives.
pub(crate) struct Alone<'a> {
    server: &'a Server,
    _lease: RwLockWriteGuard<'a, ()>,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let Some(container) = self.server.container() else { return };
        // It is an error to resume what is not paused, or to start what runs.
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
            eprintln!("the container of {} stays behind: {error:#}", server.engine());
        }
    }
}

/// Nothing drops a static, so `harness::run` calls `remove_all` when the last test is done.
static SERVERS: [OnceLock<Result<Server, String>>; 4] = [const { OnceLock::new() }; 4];
