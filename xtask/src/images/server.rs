//! A server in a container of one of the images: how it is set up for tests, and when it lets somebody in.
//!
//! The settings are those of the suite on real servers, `integration-tests/src/engine.rs`, but for the number of
//! connections: tests of the adapters run beside each other, and none of them tries out a server that is full.

use super::Image;
use crate::container::Container;
use anyhow::{Result, bail};
use std::thread;
use std::time::{Duration, Instant};

/// Ends with the value.
pub(crate) struct Server {
    image: Image,
    container: Container,
    begun: Instant,
}

impl Server {
    /// Starts one, and does not wait for it. `behind` is the address of the PostgreSQL that PgBouncer is to stand before.
    pub(crate) fn start(image: Image, tag: &str, behind: &str) -> Result<Self> {
        let begun = Instant::now();
        let mut options = vec![Container::publish(image.port())];
        options.extend(image.variables().iter().map(|variable| format!("--env={variable}")));
        if image == Image::Pgbouncer {
            options.push(format!("--env=DB_HOST={behind}"));
        }
        Ok(Self { image, container: Container::start(tag, &options, image.arguments())?, begun })
    }

    /// Waits for the first login, and tells the server's version and how long that took.
    pub(crate) fn wait(&self) -> Result<(String, Duration)> {
        loop {
            match self.log_in(PASSWORD) {
                Ok(version) => return Ok((version, self.begun.elapsed())),
                Err(_) if self.begun.elapsed() < PATIENCE && self.container.runs() => {
                    thread::sleep(Duration::from_millis(100));
                }
                Err(refusal) => {
                    let why = if self.container.runs() { "lets nobody in" } else { "has ended" };
                    bail!(
                        "{} {why} after {:.0?}: {refusal:#}\n{}",
                        self.image.name(),
                        self.begun.elapsed(),
                        self.log()
                    );
                }
            }
        }
    }

    /// The server's version, or why it let nobody in. By the container's own address: PostgreSQL trusts everybody on the
    /// loopback interface, as in the official image.
    pub(crate) fn log_in(&self, password: &str) -> Result<String> {
        self.container.script(self.image.login(), &[password, &self.container.address()?])
    }

    /// Its address for other containers.
    pub(crate) fn address(&self) -> Result<String> {
        self.container.address()
    }

    /// How a driver on this machine reaches it, as somebody who may do everything.
    pub(crate) fn url(&self) -> Result<String> {
        let address = self.container.published(self.image.port())?;
        Ok(match self.image {
            Image::Postgres | Image::Pgbouncer => format!("postgres://postgres:{PASSWORD}@{address}/postgres"),
            Image::Mysql | Image::Mariadb => format!("mysql://root:{PASSWORD}@{address}/mysql"),
        })
    }

    fn log(&self) -> String {
        self.container.log()
    }
}

impl Image {
    fn port(self) -> u16 {
        match self {
            Self::Postgres | Self::Pgbouncer => 5432,
            Self::Mysql | Self::Mariadb => 3306,
        }
    }

    fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &["POSTGRES_PASSWORD=cabrank"],
            Self::Mysql => &["MYSQL_ROOT_PASSWORD=cabrank"],
            Self::Mariadb => &["MARIADB_ROOT_PASSWORD=cabrank"],
            // Fewer sessions than the tests have threads, so that these meet each other's.
            Self::Pgbouncer => &[
                "DB_USER=postgres",
                "DB_PASSWORD=cabrank",
                "AUTH_TYPE=scram-sha-256",
                "POOL_MODE=transaction",
                "DEFAULT_POOL_SIZE=3",
                "MAX_PREPARED_STATEMENTS=200",
            ],
        }
    }

    /// TLS comes with the certificate that PostgreSQL's packages made for trials; MySQL and MariaDB make one by themselves.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &[
                "-cmax_connections=400",
                "-cfsync=off",
                "-cfull_page_writes=off",
                "-cssl=on",
                "-cssl_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem",
                "-cssl_key_file=/etc/ssl/private/ssl-cert-snakeoil.key",
            ],
            Self::Mysql => &[
                "--max-connections=400",
                "--skip-log-bin",
                "--innodb-flush-method=nosync",
                "--innodb-flush-log-at-trx-commit=2",
                "--innodb-doublewrite=OFF",
            ],
            // It heeds limits for single accounts only if it has one for all, and shows no connection attributes by default.
            Self::Mariadb => &[
                "--max-connections=400",
                // MySQL has the default: so the adapter meets both.
                "--innodb-rollback-on-timeout=ON",
                "--max-user-connections=390",
                "--performance-schema=ON",
                "--innodb-flush-method=nosync",
                "--innodb-flush-log-at-trx-commit=2",
                "--innodb-doublewrite=OFF",
            ],
            Self::Pgbouncer => &[],
        }
    }

    /// A script that logs in with the password that is its first argument, at the address that is its second.
    fn login(self) -> &'static str {
        match self {
            Self::Postgres => "PGPASSWORD=$1 PGSSLMODE=require psql -h $2 -U postgres -Atc 'SELECT version()'",
            Self::Mysql => "MYSQL_PWD=$1 mysql -h $2 --ssl-mode=REQUIRED -u root -Ne 'SELECT version()'",
            // Before 11.4 it offers TLS only to who brings a certificate, so here it is told, not asked for.
            Self::Mariadb => {
                "MYSQL_PWD=$1 mariadb -h $2 --skip-ssl-verify-server-cert -u root \
                 -Ne 'SELECT concat(version(), \", TLS \", @@have_ssl)'"
            }
            // Its console answers also where no server stands behind it.
            Self::Pgbouncer => "PGPASSWORD=$1 psql -h 127.0.0.1 -U postgres -Atc 'SHOW VERSION' pgbouncer",
        }
    }
}

/// As in the variables.
const PASSWORD: &str = "cabrank";
const PATIENCE: Duration = Duration::from_secs(90);
