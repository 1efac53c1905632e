//! `cargo xtask browser`: tests the page of `cabrank-monitor` in headless Chromium, or takes its screenshots (`--screenshots`). The tests
//! of the example `web` need a PostgreSQL; without one they are ignored, with the reason.

use crate::images::Image;
use crate::process::{cargo, run as run_command};
use crate::servers::Servers;
use crate::setup::Tool;
use crate::{images, servers, setup, workspace};
use anyhow::{Context, Result};
use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Takes the screenshots in docs/monitor instead of running the tests.
    #[arg(long)]
    screenshots: bool,
    /// First installs the browser, where possible.
    #[arg(long)]
    setup: bool,
}

pub(crate) fn run_with(args: &Args) -> Result<()> {
    let must = setup::asked(args.setup);
    setup::ready(&[Tool::Chromium], must)?;
    if args.screenshots {
        return run_command(&mut cargo(["run", "--package", PACKAGE, "--bin", "screenshots", "--", PICTURES]));
    }
    run(must)
}

/// Runs the tests. With `must`, a missing server is an error. Each test starts a browser, so only two run at a time.
pub(crate) fn run(must: bool) -> Result<()> {
    let images = servers::wanted(&[Image::Postgres]);
    if must && !images.is_empty() {
        images::run(&images::Args::all(must)).context("the server behind the service is not ready")?;
    }
    let servers = Servers::start(&images, must)?;
    servers.missing.iter().for_each(|missing| println!("{missing}"));
    run_command(&mut cargo(["build", "--package", "examples", "--bin", "web"]))?;
    let mut command = cargo(["test", "--package", PACKAGE, "--", "--test-threads=2"]);
    command.env("CABRANK_BROWSER", "1").env("CABRANK_WEB", web());
    run_command(command.envs(servers.urls.iter().map(|(name, url)| (name, url))))
}

/// The example `web`, where cargo puts it.
fn web() -> PathBuf {
    workspace::target().join("debug").join(format!("web{EXE_SUFFIX}"))
}

const PACKAGE: &str = "monitor-browser";
const PICTURES: &str = "docs/monitor";
