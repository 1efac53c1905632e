//! One server for each engine and run: the one that the environment names, or a container. Started when first asked for.
//!
//! Tests share it; one that stops or pauses it has it alone, and it is whole again afterwards.

use crate::admin::Admin;
use crate::container::Container;
use crate::engine;
use crate::engine::Engine;
use anyhow::{Context, Result, anyhow, bail};
use std::net::SocketAddr;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};
use std::time::{Duration, Instant};
use std::{env, thread};
use url::Url;

/// A server that lets us in.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    /// To the database that is always there.
    url: Url,
    /// `None` if the environment named the server: then it is not ours to stop.
    container: Option<Container>,
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
        &self.url
    }

    /// Host and port, for a proxy to connect to.
    pub fn address(&self) -> (String, u16) {
        let host = self.url.host_str().unwrap_or("127.0.0.1").to_owned();
        (host, self.url.port().unwrap_or(self.engine.port()))
    }

    /// Where the server itself listens, on Docker's own network. Fails if the environment named the server.
    pub fn inner_address(&self) -> Result<SocketAddr> {
        Ok(SocketAddr::new(self.ours()?.inner_address()?.parse()?, self.engine.port()))
    }

    /// How long it took from nothing to the first login.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// A new login by the plain driver.
    pub fn log_in(&self) -> Result<Admin> {
        Admin::log_in(self.engine, &self.url)
    }

    /// The container, if the server is ours to stop.
    pub fn container(&self) -> Option<&Container> {
        self.container.as_ref()
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
        self.wait_until_ready(PATIENCE)
    }

    /// Freezes the server: connections stay open, new ones are accepted by the system, and nothing answers.
    pub fn pause(&self) -> Result<()> {
        self.ours()?.pause()
    }

    /// Lets it go on. Returns when it lets us in.
    pub fn unpause(&self) -> Result<()> {
        self.ours()?.unpause()?;
        self.wait_until_ready(PATIENCE)
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
        let variable = engine.url_variable();
        let (url, container) = match env::var(&variable).ok().filter(|url| !url.is_empty()) {
            Some(url) => (Url::parse(&url).with_context(|| format!("{variable} is no URL"))?, None),
            None => {
                let begun = Container::start(&engine.image(), engine.port(), engine.variables(), engine.arguments());
                let container =
                    begun.map_err(|error| anyhow!("no {engine} server: {error:#}\n{}", engine::advice(&variable)))?;
                let mut url = Url::parse(engine.url())?;
                let (host, port) = container.address();
                url.set_host(Some(host))?;
                url.set_port(Some(port)).map_err(|()| anyhow!("this URL takes no port"))?;
                (url, Some(container))
            }
        };
        let mut server = Self { engine, url, container, lease: RwLock::new(()), started_in: Duration::ZERO };
        // A server that was named runs already, or does not.
        let patience = if server.container.is_some() { PATIENCE } else { Duration::from_secs(5) };
        server.wait_until_ready(patience).context(variable)?;
        server.started_in = begun.elapsed();
        println!("{engine}: {} lets us in after {:.1} s", server.whence(), server.started_in.as_secs_f64());
        Ok(server)
    }

    fn whence(&self) -> String {
        if self.container.is_some() {
            self.engine.image()
        } else {
            format!("the server in {}", self.engine.url_variable())
        }
    }

    /// A real login and a real answer; everything less has turned out to come too early.
    fn wait_until_ready(&self, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            let error = match self.try_out() {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let dead = self.container.as_ref().is_some_and(|container| !container.is_running().unwrap_or(true));
            if dead || begun.elapsed() > patience {
                let log = self.container.as_ref().map(Container::log).unwrap_or_default();
                let why = if dead { "ended".into() } else { format!("let nobody in for {patience:?}") };
                return Err(error).with_context(|| format!("the {} server {why}\n{log}", self.engine));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// In a thread of its own, since a server that accepts and stays silent would keep the driver for ever.
    fn try_out(&self) -> Result<()> {
        let (send, receive) = mpsc::channel();
        let (engine, url) = (self.engine, self.url.clone());
        thread::spawn(move || {
            let _ = send.send(Admin::log_in(engine, &url).and_then(|mut admin| admin.number("SELECT 1")));
        });
        match receive.recv_timeout(Duration::from_secs(10)) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(_) => bail!("it accepts connections and says nothing"),
        }
    }

    fn ours(&self) -> Result<&Container> {
        self.container
            .as_ref()
            .with_context(|| format!("{} names a server that is not ours to stop", self.engine.url_variable()))
    }
}

/// The server is ours alone while this lives.
pub(crate) struct Alone<'a> {
    server: &'a Server,
    _lease: RwLockWriteGuard<'a, ()>,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let Some(container) = &self.server.container else { return };
        // It is an error to resume what is not paused, or to start what runs.
        let _ = container.unpause();
        let _ = container.start_again();
        if let Err(error) = self.server.wait_until_ready(PATIENCE) {
            eprintln!("a test has broken the {} server for those after it: {error:#}", self.server.engine);
        }
    }
}

/// Removes the containers of this run.
pub(crate) fn remove_all() {
    for server in SERVERS.iter().filter_map(|slot| slot.get()?.as_ref().ok()) {
        if let Some(Err(error)) = server.container.as_ref().map(Container::remove) {
            eprintln!("the container of {} stays behind: {error:#}", server.engine);
        }
    }
}

/// Nothing drops a static, so `harness::run` calls `remove_all` when the last test is done.
static SERVERS: [OnceLock<Result<Server, String>>; 4] = [const { OnceLock::new() }; 4];

const PATIENCE: Duration = Duration::from_secs(90);
