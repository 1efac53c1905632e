//! The servers that the tests of the adapters and the examples talk to: containers of ours, whose URLs go into the
//! environment of those tests. A server that the user's environment names is used as it is.
//!
//! The program `servers` of `integration-tests` starts them and removes them; here it is started, heard, and let go. The suite
//! knows nothing of them: it stops and freezes servers, and starts its own.

use crate::images::Image;
use crate::process::cargo;
use crate::{docker, process};
use anyhow::{Context, Error, Result, bail};
use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Ended and removed when dropped, and also when this program ends without: by Ctrl-C, or killed.
#[derive(Default)]
pub(crate) struct Servers {
    program: Option<Child>,
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
        if images.is_empty() {
            return Ok(servers);
        }
        // Otherwise Docker would say so once more for each image, and at length.
        if !docker::answers() {
            images.iter().try_for_each(|&image| servers.lack(image, Error::msg("no Docker daemon answers"), must))?;
            return Ok(servers);
        }
        build()?;
        let mut command = program();
        command.args(images.iter().map(|image| image.name())).stdin(Stdio::piped()).stdout(Stdio::piped());
        // A group of its own, where Ctrl-C does not reach it: it ends in good order when its input does.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut program = command.spawn().context("cannot start the servers")?;
        let output = BufReader::new(program.stdout.take().expect("it is piped"));
        servers.program = Some(program);
        servers.hear(output, images, must)?;
        Ok(servers)
    }

    /// Reads what came of each image, up to an empty line.
    fn hear(&mut self, output: impl BufRead, images: &[Image], must: bool) -> Result<()> {
        let mut left = images.to_vec();
        for line in output.lines() {
            let line = line?;
            if line.is_empty() {
                break;
            }
            let Some(at) = left.iter().position(|image| line.starts_with(image.url_variable())) else {
                bail!("no server was asked for by that name: {line}");
            };
            let image = left.swap_remove(at);
            let said = &line[image.url_variable().len()..];
            match said.strip_prefix('=') {
                Some(url) => self.urls.push((image.url_variable(), url.to_owned())),
                None => self.lack(image, Error::msg(said.trim_start_matches(": ").to_owned()), must)?,
            }
        }
        left.iter().try_for_each(|&image| self.lack(image, Error::msg("nothing was heard of it"), must))
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

impl Drop for Servers {
    fn drop(&mut self) {
        let Some(program) = &mut self.program else { return };
        drop(program.stdin.take());
        if !program.wait().is_ok_and(|status| status.success()) {
            eprintln!("the program that keeps the servers ended badly: containers may stay behind");
        }
    }
}

/// Builds the program that starts servers, for all to see: it can take minutes.
pub(crate) fn build() -> Result<()> {
    process::run(&mut cargo(["build", "--package", "integration-tests", "--bin", "servers"]))
}

/// The program that starts servers. It stands where cargo put it, and on Unix cargo becomes it.
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
        assert!(servers.missing[0].contains("of postgres (nothing was heard of it)"), "{:?}", servers.missing);
        assert!(Servers::default().hear("CABRANK_ORACLE_URL=x\n".as_bytes(), &IMAGES, false).is_err());
    }

    #[test]
    fn the_program_knows_every_image_by_its_name() {
        let kinds = std::fs::read_to_string(crate::workspace::root().join(KINDS)).unwrap();
        // The others are no servers that somebody asks for.
        let images = <Image as clap::ValueEnum>::value_variants();
        for image in images.iter().filter(|image| ![Image::Haproxy, Image::Prometheus].contains(image)) {
            assert!(kinds.contains(&format!("=> \"{}\"", image.name())), "{}", image.name());
            assert_eq!(image.url_variable(), format!("CABRANK_{}_URL", image.name().to_uppercase()));
        }
    }

    const KINDS: &str = "integration-tests/src/bin/servers/kind.rs";
}
