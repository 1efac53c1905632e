//! A database for one test, on the engine's server, and the user who owns it. Both are dropped with the value.

use crate::admin::Admin;
use crate::server::Server;
use anyhow::Result;
use cabrank_testing::Proxy;
use cabrank_testing::servers::Engine;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use url::Url;

/// An empty database named `cabrank_test_*`, and a user of the same name with all rights in it and none elsewhere.
///
/// The pool under test logs in as that user, so its sessions can be distinguished from ours by name.
#[derive(Debug)]
pub struct Database {
    server: &'static Server,
    name: String,
}

impl Database {
    /// Creates one.
    pub fn new(server: &'static Server) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // The process is part of the name: several may share a server that the environment names.
        let name = format!("cabrank_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = server.log_in()?;
        admin.execute(&format!("CREATE DATABASE {name}"))?;
        // From here on it is dropped if anything fails.
        let database = Self { server, name };
        database.make_user(&mut admin)?;
        Ok(database)
    }

    fn make_user(&self, admin: &mut Admin) -> Result<()> {
        let Self { name, .. } = self;
        if self.server.engine() == Engine::Postgres {
            admin.execute(&format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'"))?;
            admin.execute(&format!("ALTER DATABASE {name} OWNER TO {name}"))
        } else {
            admin.execute(&format!("CREATE USER {name} IDENTIFIED BY '{PASSWORD}'"))?;
            admin.execute(&format!("GRANT ALL ON {name}.* TO {name}"))
        }
    }

    /// Gives the user another password. Open sessions continue.
    pub fn set_password(&self, password: &str) -> Result<()> {
        let (kind, by) =
            if self.server.engine() == Engine::Postgres { ("ROLE", "PASSWORD") } else { ("USER", "IDENTIFIED BY") };
        self.server.log_in()?.execute(&format!("ALTER {kind} {} {by} '{password}'", self.name))
    }

    /// Limits the number of the user's sessions.
    pub fn limit_sessions(&self, most: u32) -> Result<()> {
        let name = &self.name;
        self.server.log_in()?.execute(&if self.server.engine() == Engine::Postgres {
            format!("ALTER ROLE {name} CONNECTION LIMIT {most}")
        } else {
            format!("ALTER USER {name} WITH MAX_USER_CONNECTIONS {most}")
        })
    }

    /// Its server.
    pub fn server(&self) -> &'static Server {
        self.server
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A URL that leads straight to it, as its user.
    pub fn url(&self) -> Url {
        let mut url = self.admin_url();
        url.set_username(&self.name).expect("the URL of a server takes a user");
        self.with_password(url, PASSWORD)
    }

    /// The same with another password.
    pub fn with_password(&self, mut url: Url, password: &str) -> Url {
        url.set_password(Some(password)).expect("the URL of a server takes a password");
        url
    }

    fn admin_url(&self) -> Url {
        let mut url = self.server.url().clone();
        url.set_path(&self.name);
        url
    }

    /// A URL that leads to it through a proxy, as its user.
    pub fn url_through(&self, proxy: &Proxy) -> Url {
        self.url_at(proxy.address())
    }

    /// A URL that leads to it by another address, as its user.
    pub fn url_at(&self, address: SocketAddr) -> Url {
        let mut url = self.url();
        url.set_ip_host(address.ip()).expect("the URL of a server has a host");
        url.set_port(Some(address.port())).expect("the URL of a server takes a port");
        url
    }

    /// A proxy in front of its server.
    pub fn proxy(&self) -> Result<Proxy> {
        let (host, port) = self.server.address();
        Ok(Proxy::start((host.as_str(), port))?)
    }

    /// A login of ours to it through the plain driver, as a user with all rights.
    pub fn log_in(&self) -> Result<Admin> {
        Admin::log_in(self.server.engine(), &self.admin_url())
    }

    /// The client ports of its user's sessions, as the server sees them.
    pub fn client_ports(&self) -> Result<Vec<u16>> {
        let Self { name, .. } = self;
        let rows = self.server.log_in()?.rows(&if self.server.engine() == Engine::Postgres {
            format!("SELECT client_port FROM pg_stat_activity WHERE usename = '{name}'")
        } else {
            format!("SELECT host FROM information_schema.processlist WHERE user = '{name}'")
        })?;
        // MySQL and MariaDB return `host:port`.
        rows.iter().map(|row| Ok(row[0].rsplit(':').next().unwrap_or_default().parse()?)).collect()
    }

    /// Its user's sessions at the server, counted from outside.
    pub fn sessions(&self) -> Result<Vec<i64>> {
        self.server.log_in()?.sessions_of(&self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (force, user) =
            if self.server.engine() == Engine::Postgres { (" WITH (FORCE)", "ROLE") } else { ("", "USER") };
        let dropped = self.server.log_in().and_then(|mut admin| {
            admin.execute(&format!("DROP DATABASE {}{force}", self.name))?;
            admin.execute(&format!("DROP {user} IF EXISTS {}", self.name))
        });
        // The server may be down because the test failed, and is removed with its container anyway.
        if let Err(error) = dropped {
            eprintln!("{} could not be removed: {error:#}", self.name);
        }
    }
}

const PASSWORD: &str = "first";
