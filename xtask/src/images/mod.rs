//! `cargo xtask images`: the images of the servers that the tests and compose.yaml start.
//!
//! The official ones are pulled. Where no registry provides them, stand-ins are built from Debian packages (see `images/README.md`), and
//! the file `.env` in the root makes compose.yaml and the tests use those. Existing images are left alone, so a second run takes a second.

mod build;
mod env_file;
mod trial;

use crate::docker::docker;
use crate::setup::Unready;
use crate::{docker, process, setup, workspace};
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::env;
use std::time::Instant;

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// The images; all by default.
    #[arg(value_enum)]
    images: Vec<Image>,
    /// First installs Docker and the tools for building, where possible.
    #[arg(long)]
    setup: bool,
    /// Builds stand-ins without trying a registry.
    #[arg(long)]
    stand_ins: bool,
    /// The Debian suite of the stand-ins' packages. Any other than the default is for trying older servers, and leaves `.env` alone.
    #[arg(long, default_value = SUITE)]
    suite: String,
    /// The major version of PostgreSQL in a stand-in; by default the newest of the suite.
    #[arg(long, default_value = "")]
    postgres_major: String,
}

impl Args {
    /// All images; installs what is missing if `setup`.
    pub(crate) fn all(setup: bool) -> Self {
        Self { setup, suite: SUITE.into(), ..Self::default() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Image {
    Postgres,
    Mysql,
    Mariadb,
    Pgbouncer,
    /// Only the test of a fail-over starts it, one of the longer tests.
    Haproxy,
    /// For a crate that depends on r2d2; no adapter uses it.
    Redis,
    /// Includes promtool. Only the suite's tests of metrics start it.
    Prometheus,
}

/// Where an image came from, for the report.
enum Origin {
    There,
    Pulled,
    Built,
}

/// Makes sure that each image exists, and prints its name, origin, size and time.
pub(crate) fn run(args: &Args) -> Result<()> {
    docker::ready(setup::asked(args.setup))?;
    let images = if args.images.is_empty() { Image::value_variants() } else { &args.images };
    let begun = Instant::now();
    let mut stand_ins = Vec::new();
    for &image in images {
        let begun = Instant::now();
        let (name, origin) = image.ensure(args).with_context(|| format!("no image of {}", image.name()))?;
        let what = match origin {
            Origin::There => "present",
            Origin::Pulled => "pulled",
            Origin::Built => "built",
        };
        let size = size(&name)?;
        println!("{:>10}: {name} {what}, {size} MB, {:.1} s", image.name(), begun.elapsed().as_secs_f64());
        let is_stand_in = name.starts_with(build::PREFIX);
        stand_ins.push((image.variable(), is_stand_in.then_some(name)));
    }
    println!("{:>10}: {:.1} s", "all", begun.elapsed().as_secs_f64());
    if args.suite == SUITE && args.postgres_major.is_empty() {
        env_file::update(&workspace::root().join(".env"), &stand_ins)?;
    } else {
        let names = stand_ins.iter().filter_map(|(variable, name)| Some((variable, name.as_ref()?)));
        names.for_each(|(variable, name)| println!("to use it: export {variable}={name}"));
    }
    Ok(())
}

impl Image {
    /// The variable that names a server to use instead of a container.
    pub(crate) fn url_variable(self) -> &'static str {
        match self {
            Self::Postgres => "CABRANK_POSTGRES_URL",
            Self::Mysql => "CABRANK_MYSQL_URL",
            Self::Mariadb => "CABRANK_MARIADB_URL",
            Self::Pgbouncer => "CABRANK_PGBOUNCER_URL",
            Self::Haproxy | Self::Prometheus => unreachable!("no test uses its URL"),
            Self::Redis => "CABRANK_REDIS_URL",
        }
    }

    fn given(self) -> Option<String> {
        env::var(self.variable()).ok().filter(|name| !name.is_empty())
    }

    /// The name of the image to use: the one in the environment, else the official one, else a stand-in.
    fn ensure(self, args: &Args) -> Result<(String, Origin)> {
        if let Some(name) = self.given() {
            if !present(&name) {
                process::run(&mut docker(["pull", &name]))
                    .map_err(|error| Unready(format!("{} names {name}: {error:#}", self.variable())))?;
                return Ok((name, Origin::Pulled));
            }
            return Ok((name, Origin::There));
        }
        let official = self.official();
        let other_suite = args.suite != SUITE || !args.postgres_major.is_empty();
        if !args.stand_ins && !other_suite && present(official) {
            return Ok((official.into(), Origin::There));
        }
        let recipe = build::Recipe::new(self.name(), &args.suite, &args.postgres_major)?;
        if recipe.is_built() {
            return Ok((recipe.tag(), Origin::There));
        }
        if !args.stand_ins && !other_suite && pull(official)? {
            return Ok((official.into(), Origin::Pulled));
        }
        recipe.build(setup::asked(args.setup), |candidate| trial::run(self, candidate))?;
        Ok((recipe.tag(), Origin::Built))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Pgbouncer => "pgbouncer",
            Self::Haproxy => "haproxy",
            Self::Redis => "redis",
            Self::Prometheus => "prometheus",
        }
    }

    /// The default in compose.yaml and in the tests' fixtures.
    fn official(self) -> &'static str {
        match self {
            Self::Postgres => "postgres:18",
            Self::Mysql => "mysql:9",
            Self::Mariadb => "mariadb:11.8",
            // The PgBouncer project publishes no image.
            Self::Pgbouncer => "edoburu/pgbouncer:v1.25.1-p0",
            Self::Haproxy => "haproxy:lts",
            Self::Redis => "redis:8",
            Self::Prometheus => "prom/prometheus:v3.5.0",
        }
    }

    /// The environment variable that names another image.
    fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "CABRANK_POSTGRES_IMAGE",
            Self::Mysql => "CABRANK_MYSQL_IMAGE",
            Self::Mariadb => "CABRANK_MARIADB_IMAGE",
            Self::Pgbouncer => "CABRANK_PGBOUNCER_IMAGE",
            Self::Haproxy => "CABRANK_HAPROXY_IMAGE",
            Self::Redis => "CABRANK_REDIS_IMAGE",
            Self::Prometheus => "CABRANK_PROMETHEUS_IMAGE",
        }
    }
}

fn present(name: &str) -> bool {
    process::succeeds(&mut docker(["image", "inspect", name]))
}

/// Returns false if no registry provides the image, and prints the reason.
fn pull(name: &str) -> Result<bool> {
    let log = workspace::target().join("pull.log");
    let ended = process::within(&mut docker(["pull", "--quiet", name]), process::LONG, &log)?;
    let succeeded = ended.status.is_some_and(|status| status.success());
    if !succeeded {
        let reason = ended.output.lines().last().unwrap_or("it took too long").to_owned();
        println!("{name} cannot be pulled, so a stand-in replaces it ({reason})");
    }
    Ok(succeeded)
}

fn size(name: &str) -> Result<u64> {
    let bytes = process::output(&mut docker(["image", "inspect", "--format", "{{.Size}}", name]))?;
    Ok(bytes.trim().parse::<u64>().context("no size")? / 1_000_000)
}

/// The suite that has the official images' major versions.
const SUITE: &str = "sid";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn compose_has_the_same_variables_and_names() {
        let compose = fs::read_to_string(workspace::root().join("compose.yaml")).unwrap();
        // Compose has no pair of servers for HAProxy.
        for image in Image::value_variants().iter().filter(|image| **image != Image::Haproxy) {
            let setting = format!("image: ${{{}:-{}}}", image.variable(), image.official());
            assert!(compose.contains(&setting), "{setting}");
        }
    }

    #[test]
    fn the_tests_start_the_same() {
        let launch = fs::read_to_string(workspace::root().join("integration-tests/src/launch.rs")).unwrap();
        for image in Image::value_variants() {
            let setting = format!("image(\"{}\", \"{}\")", image.variable(), image.official());
            assert!(launch.contains(&setting), "{setting}");
        }
    }

    #[test]
    fn every_image_has_a_stand_in() {
        for image in Image::value_variants() {
            assert!(build::Recipe::new(image.name(), SUITE, "").is_ok());
        }
    }
}
