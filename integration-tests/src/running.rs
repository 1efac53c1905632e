//! A running server: in a container of ours, or one that the environment names. Waits until a login succeeds.

use crate::admin::Admin;
use crate::container::Container;
use crate::launch;
use crate::launch::{For, Launch, PASSWORD};
use anyhow::{Context, Result, anyhow, bail};
use cabrank_testing::servers;
use cabrank_testing::servers::Engine;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use url::Url;

/// A server, once it [is ready](Self::wait_until_ready).
#[derive(Debug)]
pub struct Running {
    /// The engine of the driver to log in with. `None` for Redis, for which we have no driver.
    engine: Option<Engine>,
    /// A URL of the default database.
    url: Url,
    /// `None` if the environment named the server: then it is not ours to stop.
    container: Option<Container>,
    whence: String,
}

impl Running {
    /// The server that the environment names, or a container. Returns once a login succeeds.
    pub fn find(engine: Engine) -> Result<Self> {
        let variable = engine.url_variable();
        let (running, patience) = match servers::variable(&variable) {
            Some(url) => {
                let url = Url::parse(&url).with_context(|| format!("{variable} is no URL"))?;
                let whence = format!("the server in {variable}");
                // A server named by the environment is already running, or it is an error.
                (Self { engine: Some(engine), url, container: None, whence }, Duration::from_secs(5))
            }
            None => {
                let launched = Self::launch(engine, &Launch::of(engine, For::Suite));
                let advised = |error| anyhow!("no {engine} server: {error:#}\n{}", launch::advice(&variable));
                (launched.map_err(advised)?, PATIENCE)
            }
        };
        running.wait_until_ready(patience, || false).context(variable)?;
        Ok(running)
    }

    /// One in a container. Does not wait until it is ready. `engine` selects the driver to log in with; `None` for Redis, with its own
    /// client.
    pub fn launch(engine: impl Into<Option<Engine>>, launch: &Launch) -> Result<Self> {
        let container = Container::start(launch)?;
        let mut url = Url::parse(launch.url)?;
        let (host, port) = container.address();
        url.set_host(Some(host))?;
        url.set_port(Some(port)).map_err(|()| anyhow!("this URL takes no port"))?;
        Ok(Self { engine: engine.into(), url, container: Some(container), whence: launch.image.clone() })
    }

    /// The URL of the default database, with a user who has all rights.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The container, if the server is ours to stop.
    pub fn container(&self) -> Option<&Container> {
        self.container.as_ref()
    }

    /// Its origin, for a message.
    pub fn whence(&self) -> &str {
        &self.whence
    }

    /// A new login through the plain driver.
    pub fn log_in(&self) -> Result<Admin> {
        Admin::log_in(self.engine.context("Redis has no driver here")?, &self.url)
    }

    /// Waits for a real login and a real answer; anything less has turned out to come too early. An error if the server dies, if patience
    /// runs out or if it is no longer wanted.
    pub fn wait_until_ready(&self, patience: Duration, is_unwanted: impl Fn() -> bool) -> Result<()> {
        let begun = Instant::now();
        loop {
            let error = match self.try_out() {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let dead = self.container.as_ref().is_some_and(|container| !container.is_running().unwrap_or(true));
            if dead || begun.elapsed() > patience || is_unwanted() {
                let log = self.container.as_ref().map(Container::log).unwrap_or_default();
                let why = if dead { "ended".into() } else { format!("accepted no login for {:.0?}", begun.elapsed()) };
                return Err(error).with_context(|| format!("{} {why}\n{log}", self.whence));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// In a separate thread, because a server that accepts and stays silent would block the driver forever.
    fn try_out(&self) -> Result<()> {
        let Some(engine) = self.engine else { return self.ping() };
        let (send, receive) = mpsc::channel();
        let url = self.url.clone();
        thread::spawn(move || {
            let _ = send.send(Admin::log_in(engine, &url).and_then(|mut admin| admin.number("SELECT 1")));
        });
        match receive.recv_timeout(Duration::from_secs(10)) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(_) => bail!("it accepts connections and does not respond"),
        }
    }

    /// Pings a Redis of ours, with the client in its image.
    fn ping(&self) -> Result<()> {
        let container = self.container.as_ref().context("only a container has a client in it")?;
        container.script("REDISCLI_AUTH=$1 redis-cli -e ping", &[PASSWORD]).map(drop)
    }
}

/// How long a server may take from its start to the first login.
pub const PATIENCE: Duration = Duration::from_secs(90);
