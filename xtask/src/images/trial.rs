//! The trial of a stand-in before it gets its name: it starts, lets the right password in, over TLS
//! where it offers that, and refuses a wrong one.

use super::Image;
use super::server::Server;
use anyhow::{Context, Result, bail};

/// An error if the image does not behave as the official one would.
pub(super) fn run(image: Image, tag: &str) -> Result<()> {
    // No server stands behind PgBouncer.
    let server = Server::start(image, tag, "127.0.0.1")?;
    let (version, ready) = server.wait().with_context(|| format!("{tag} is no good"))?;
    match server.log_in("wrong") {
        Ok(_) => bail!("{tag} lets a wrong password in"),
        Err(refusal) if !image.refusals().iter().any(|words| refusal.to_string().contains(words)) => {
            bail!("{tag} did not refuse a wrong password but said: {refusal:#}")
        }
        Err(_) => {}
    }
    println!("{:>10}: {version}; ready after {:.1} s; refuses a wrong password", image.name(), ready.as_secs_f64());
    Ok(())
}

impl Image {
    /// One of these is said to who comes with a wrong password.
    fn refusals(self) -> &'static [&'static str] {
        match self {
            Self::Postgres | Self::Pgbouncer => &["password authentication failed", "SASL authentication failed"],
            Self::Mysql | Self::Mariadb => &["Access denied"],
        }
    }
}
