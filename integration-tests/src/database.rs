//! A database for one test, on the engine's server. Dropped with the value.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use url::Url;

use crate::{admin::Admin, engine::Engine, proxy::Proxy, server::Server};

/// An empty database named `cabrank_test_*`.
#[derive(Debug)]
pub struct Database {
    server: &'static Server,
    name: String,
}

impl Database {
    /// Makes one.
    pub fn new(server: &'static Server) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // The process is part of the name: several may share a server that the environment names.
        let name = format!("cabrank_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        server.log_in()?.execute(&format!("CREATE DATABASE {name}"))?;
        Ok(Self { server, name })
    }

    /// The server that it lies on.
    pub fn server(&self) -> &'static Server {
        self.server
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Leads straight to it.
    pub fn url(&self) -> Url {
        let mut url = self.server.url().clone();
        url.set_path(&self.name);
        url
    }

    /// Leads to it through a proxy.
    pub fn url_through(&self, proxy: &Proxy) -> Url {
        let mut url = self.url();
        let address = proxy.address();
        url.set_ip_host(address.ip()).expect("the URL of a server has a host");
        url.set_port(Some(address.port())).expect("the URL of a server takes a port");
        url
    }

    /// A proxy in front of its server.
    pub fn proxy(&self) -> Result<Proxy> {
        let (host, port) = self.server.address();
        Proxy::start((host.as_str(), port))
    }

    /// A login at it by the plain driver.
    pub fn log_in(&self) -> Result<Admin> {
        Admin::log_in(self.server.engine(), &self.url())
    }

    /// How many sessions the server has in it, counted from outside.
    pub fn sessions(&self) -> Result<i64> {
        self.server.log_in()?.sessions(&self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let force = if self.server.engine() == Engine::Postgres { " WITH (FORCE)" } else { "" };
        let dropped =
            self.server.log_in().and_then(|mut admin| admin.execute(&format!("DROP DATABASE {}{force}", self.name)));
        // The server may be down because the test failed, and goes away with its container anyway.
        if let Err(error) = dropped {
            eprintln!("{} stays behind: {error:#}", self.name);
        }
    }
}
