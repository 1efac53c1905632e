//! The trial of a stand-in before it gets its name: it starts, lets the right password in, over TLS
//! where it offers that, and refuses a wrong one.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::Image;
use crate::{
    docker::{self, docker},
    process,
};

/// An error if the image does not behave as the official one would.
pub(super) fn run(image: Image, tag: &str) -> Result<()> {
    let begun = Instant::now();
    let container = Container::start(image, tag)?;
    let version = loop {
        match container.log_in(image, PASSWORD) {
            Ok(version) => break version,
            Err(refusal) if begun.elapsed() > PATIENCE => {
                let log = process::output(&mut docker(["logs", "--tail", "20", &container.0])).unwrap_or_default();
                bail!("{tag} lets nobody in after {PATIENCE:?}: {refusal}\n{log}");
            }
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    };
    let ready = begun.elapsed().as_secs_f64();
    match container.log_in(image, "wrong") {
        Ok(_) => bail!("{tag} lets a wrong password in"),
        Err(refusal) if !image.refusals().iter().any(|words| refusal.contains(words)) => {
            bail!("{tag} did not refuse a wrong password but said: {refusal}")
        }
        Err(_) => {}
    }
    println!("{:>10}: {version}; ready after {ready:.1} s; refuses a wrong password", image.name());
    Ok(())
}

/// Removed when dropped, whatever the trial says.
struct Container(String);

impl Container {
    fn start(image: Image, tag: &str) -> Result<Self> {
        let mut command = docker(["run", "--detach", "--label", &format!("{}={}", docker::LABEL, docker::owner())]);
        for variable in image.variables() {
            command.args(["--env", variable]);
        }
        command.arg(tag).args(image.arguments());
        Ok(Self(process::output(&mut command)?.trim().to_owned()))
    }

    /// The server's version, or why it let nobody in.
    fn log_in(&self, image: Image, password: &str) -> Result<String, String> {
        let said = process::output(&mut docker(["exec", &self.0, "sh", "-c", image.login(), "sh", password]));
        match said {
            Ok(version) => Ok(version.trim().to_owned()),
            Err(error) => Err(format!("{error:#}")),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = process::output(&mut docker(["rm", "--force", "--volumes", &self.0]));
    }
}

impl Image {
    fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &["POSTGRES_PASSWORD=right"],
            Self::Mysql => &["MYSQL_ROOT_PASSWORD=right"],
            Self::Mariadb => &["MARIADB_ROOT_PASSWORD=right"],
            // No server stands behind it: its console answers without one.
            Self::Pgbouncer => &["DB_HOST=127.0.0.1", "DB_PASSWORD=right"],
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &[
                "-c",
                "ssl=on",
                "-c",
                "ssl_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem",
                "-c",
                "ssl_key_file=/etc/ssl/private/ssl-cert-snakeoil.key",
            ],
            _ => &[],
        }
    }

    /// A script that logs in with the password that is its first argument. By the container's own address: PostgreSQL trusts
    /// everybody on the loopback interface, as in the official image.
    fn login(self) -> &'static str {
        match self {
            Self::Postgres => {
                "PGPASSWORD=$1 PGSSLMODE=require psql -h $(hostname -i) -U postgres -Atc 'SELECT version()'"
            }
            Self::Mysql => "MYSQL_PWD=$1 mysql -h $(hostname -i) --ssl-mode=REQUIRED -u root -Ne 'SELECT version()'",
            // Before 11.4 it offers TLS only to who brings a certificate, so here it is told, not asked for.
            Self::Mariadb => {
                "MYSQL_PWD=$1 mariadb -h $(hostname -i) --skip-ssl-verify-server-cert -u root \
                 -Ne 'SELECT concat(version(), \", TLS \", @@have_ssl)'"
            }
            Self::Pgbouncer => "PGPASSWORD=$1 psql -h 127.0.0.1 -U postgres -Atc 'SHOW VERSION' pgbouncer",
        }
    }

    /// One of these is said to who comes with a wrong password.
    fn refusals(self) -> &'static [&'static str] {
        match self {
            Self::Postgres | Self::Pgbouncer => &["password authentication failed", "SASL authentication failed"],
            Self::Mysql | Self::Mariadb => &["Access denied"],
        }
    }
}

const PASSWORD: &str = "right";
const PATIENCE: Duration = Duration::from_secs(90);
