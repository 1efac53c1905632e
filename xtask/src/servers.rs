//! The servers for the tests of the adapters and the examples: containers, whose URLs go into the environment of those tests. A server in
//! the user's environment is used as it is.
//!
//! The program `servers` of `integration-tests` starts and removes them; this module runs that program and reads its output. The suite does
//! not use these servers: it starts its own, because it stops and freezes them.

use crate::images::Image;
use crate::process::cargo;
use crate::{docker, process};
use anyhow::{Context, Error, Result, bail};
use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// The containers are removed when this is dropped, and also when this program is stopped by Ctrl-C or killed.
#[derive(Default)]
pub(crate) struct Servers {
    program: Option<Child>,
    /// Variable and value, for the environment of the tests.
    pub(crate) urls: Vec<(&'static str, String)>,
    /// The servers that are missing, each with the reason.
    pub(crate) missing: Vec<String>,
}

/// Those of the images that need a container: none if the environment skips servers, nor where it names a server.
pub(crate) fn wanted(images: &[Image]) -> Vec<Image> {
    if given("CABRANK_SKIP_SERVERS").is_some_and(|value| value != "0") {
        return Vec::new();
    }
    let ours = |image: &Image| {
        // A PgBouncer in a container cannot reach the user's own server.
        let behind = *image != Image::Pgbouncer || given(Image::Postgres.url_variable()).is_none();
        given(image.url_variable()).is_none() && behind
    };
    images.iter().copied().filter(ours).collect()
}

impl Servers {
    /// Starts them all and waits until each accepts a log-in. A missing server is an error if `must`; otherwise it is reported, and the
    /// tests that need it are ignored.
    pub(crate) fn start(images: &[Image], must: bool) -> Result<Self> {
        let mut servers = Self::default();
        if images.is_empty() {
            return Ok(servers);
        }
        // Otherwise Docker would report the same at length for each image.
        if !docker::answers() {
            images.iter().try_for_each(|&image| servers.lack(image, Error::msg("no Docker daemon answers"), must))?;
            return Ok(servers);
        }
        build()?;
        let mut command = program();
        command.args(images.iter().map(|image| image.name())).stdin(Stdio::piped()).stdout(Stdio::piped());
        // In its own process group, where Ctrl-C does not reach it: it removes the containers when its input closes.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut program = command.spawn().context("cannot start the servers")?;
        let output = BufReader::new(program.stdout.take().expect("it is piped"));
        servers.program = Some(program);
        servers.hear(output, images, must)?;
        Ok(servers)
    }

    /// Reads the result for each image, up to an empty line.
    fn hear(&mut self, output: impl BufRead, images: &[Image], must: bool) -> Result<()> {
        let mut left = images.to_vec();
        for line in output.lines() {
            let line = line?;
            if line.is_empty() {
                break;
            }
            let Some(at) = left.iter().position(|image| line.starts_with(image.url_variable())) else {
                bail!("an answer about a server that was not requested: {line}");
            };
            let image = left.swap_remove(at);
            let said = &line[image.url_variable().len()..];
            match said.strip_prefix('=') {
                Some(url) => self.urls.push((image.url_variable(), url.to_owned())),
                None => self.lack(image, Error::msg(said.trim_start_matches(": ").to_owned()), must)?,
            }
        }
        left.iter().try_for_each(|&image| self.lack(image, Error::msg("no answer came"), must))
    }

    fn lack(&mut self, image: Image, error: Error, must: bool) -> Result<()> {
        if must {
            return Err(error.context(format!("the tests have no {} server", image.name())));
        }
        self.missing.push(format!(
            "NOT TESTED: no {} server ({error:#}); use `cargo xtask test --setup`, or name a server in {}",
            image.name(),
            image.url_variable()
        ));
        Ok(())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let Some(program) = &mut self.program else { return };
        drop(program.stdin.take());
        if !program.wait().is_ok_and(|status| status.success()) {
            eprintln!("the program `servers` failed: it may have left containers behind");
        }
    }
}

/// Builds the program `servers`, with cargo's output shown because this can take minutes.
pub(crate) fn build() -> Result<()> {
    process::run(&mut cargo(["build", "--package", "integration-tests", "--bin", "servers"]))
}

/// The program `servers`, by `cargo run`. On Unix cargo replaces itself with the program.
pub(crate) fn program() -> Command {
    cargo(["run", "--quiet", "--package", "integration-tests", "--bin", "servers", "--"])
}

fn given(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGES: [Image; 2] = [Image::Postgres, Image::Mysql];

    #[test]
    fn what_must_be_there_and_is_not_is_an_error() {
        let said = || "CABRANK_POSTGRES_URL=postgres://here\nCABRANK_MYSQL_URL: no image\n\n".as_bytes();
        let mut servers = Servers::default();
        servers.hear(said(), &IMAGES, false).unwrap();
        assert_eq!(servers.urls, [("CABRANK_POSTGRES_URL", "postgres://here".to_owned())]);
        assert!(servers.missing[0].contains("no image") && servers.missing[0].contains("CABRANK_MYSQL_URL"));
        assert!(Servers::default().hear(said(), &IMAGES, true).is_err());
    }

    #[test]
    fn a_server_that_nothing_was_heard_of_is_missing() {
        let mut servers = Servers::default();
        servers.hear("CABRANK_MYSQL_URL=mysql://here\n".as_bytes(), &IMAGES, false).unwrap();
        assert!(servers.missing[0].contains("no postgres server (no answer came)"), "{:?}", servers.missing);
        assert!(Servers::default().hear("CABRANK_ORACLE_URL=x\n".as_bytes(), &IMAGES, false).is_err());
    }

    #[test]
    fn the_program_knows_every_image_by_its_name() {
        let kinds = std::fs::read_to_string(crate::workspace::root().join(KINDS)).unwrap();
        // No test requests the others by name.
        let images = <Image as clap::ValueEnum>::value_variants();
        for image in images.iter().filter(|image| ![Image::Haproxy, Image::Prometheus].contains(image)) {
            assert!(kinds.contains(&format!("=> \"{}\"", image.name())), "{}", image.name());
            assert_eq!(image.url_variable(), format!("CABRANK_{}_URL", image.name().to_uppercase()));
        }
    }

    const KINDS: &str = "integration-tests/src/bin/servers/kind.rs";
}
