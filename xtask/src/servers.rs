//! The servers that the tests of the adapters and the examples talk to: containers of ours, whose URLs go into the
//! environment of those tests. A server that the user's environment names is used as it is.
//!
//! The suite in `integration-tests` knows nothing of them: it stops and freezes servers, and starts its own.

use crate::docker;
use crate::images::{Image, Server};
use anyhow::{Context, Error, Result, bail};
use std::env;

/// Ended and removed when dropped.
#[derive(Default)]
pub(crate) struct Servers {
    running: Vec<(Image, Server)>,
    /// Variable and value, for the environment of the tests.
    pub(crate) urls: Vec<(&'static str, String)>,
    /// What there is no server of, and why.
    pub(crate) missing: Vec<String>,
}

/// Those of the images that tests want a server of: unless the environment names one, or wants none.
pub(crate) fn wanted(images: &[Image]) -> Vec<Image> {
    if given("CABRANK_SKIP_SERVERS").is_some_and(|value| value != "0") {
        return Vec::new();
    }
    let ours = |image: &Image| {
        // No PgBouncer of ours reaches a server that is somebody else's.
        let behind = *image != Image::Pgbouncer || given(Image::Postgres.url_variable()).is_none();
        given(image.url_variable()).is_none() && behind
    };
    images.iter().copied().filter(ours).collect()
}

impl Servers {
    /// Starts them all and waits until each lets us in. What cannot be had is an error if it `must` be there; else that
    /// is said, and the tests skip themselves.
    pub(crate) fn start(images: &[Image], must: bool) -> Result<Self> {
        let mut servers = Self::default();
        // Before one is waited for all are begun.
        for &image in images {
            match servers.begin(image) {
                Ok(server) => servers.running.push((image, server)),
                Err(error) => servers.lack(image, error, must)?,
            }
        }
        for (image, server) in std::mem::take(&mut servers.running) {
            let ready = server.wait().and_then(|ready| Ok((server.url()?, ready)));
            match ready {
                Ok((url, (version, time))) => {
                    println!("{:>10}: {version}; ready after {:.1} s", image.name(), time.as_secs_f64());
                    servers.urls.push((image.url_variable(), url));
                    servers.running.push((image, server));
                }
                Err(error) => servers.lack(image, error, must)?,
            }
        }
        Ok(servers)
    }

    fn begin(&self, image: Image) -> Result<Server> {
        // Otherwise Docker would say so once more for each image, and at length.
        if !docker::answers() {
            bail!("no Docker daemon answers");
        }
        let mut behind = String::new();
        if image == Image::Pgbouncer {
            let postgres = self.running.iter().find(|(image, _)| *image == Image::Postgres);
            behind = postgres.context("it has no PostgreSQL to stand before")?.1.address()?;
        }
        Server::start(image, &image.chosen(), &behind)
    }

    fn lack(&mut self, image: Image, error: Error, must: bool) -> Result<()> {
        if must {
            return Err(error.context(format!("the tests have no server of {}", image.name())));
        }
        self.missing.push(format!(
            "NOT TESTED: there is no server of {} ({error:#}); `cargo xtask test --setup` gets one, or {} names one",
            image.name(),
            image.url_variable()
        ));
        Ok(())
    }
}

fn given(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_be_there_and_is_not_is_an_error() {
        let mut servers = Servers::default();
        assert!(servers.begin(Image::Pgbouncer).is_err(), "there is nothing to stand before");
        servers.lack(Image::Mysql, Error::msg("no image"), false).unwrap();
        assert!(servers.missing[0].contains("no image") && servers.missing[0].contains("CABRANK_MYSQL_URL"));
        assert!(servers.lack(Image::Mysql, Error::msg("no image"), true).is_err());
    }
}
