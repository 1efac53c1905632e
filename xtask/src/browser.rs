//! `cargo xtask browser`: the page of `cabrank-monitor` in a real browser, headless Chromium; and its pictures, `--screenshots`.

use crate::process::{cargo, run as run_command};
use crate::setup;
use crate::setup::Tool;
use anyhow::Result;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Makes the pictures in docs/monitor anew instead of running the tests.
    #[arg(long)]
    screenshots: bool,
    /// First installs the browser, where that is possible.
    #[arg(long)]
    setup: bool,
}

pub(crate) fn run_with(args: &Args) -> Result<()> {
    setup::ready(&[Tool::Chromium], setup::asked(args.setup))?;
    if args.screenshots {
        return run_command(&mut cargo(["run", "--package", PACKAGE, "--bin", "screenshots", "--", PICTURES]));
    }
    run()
}

/// The tests. Each starts a browser, so two at a time are enough.
pub(crate) fn run() -> Result<()> {
    run_command(cargo(["test", "--package", PACKAGE, "--", "--test-threads=2"]).env("CABRANK_BROWSER", "1"))
}

const PACKAGE: &str = "monitor-browser";
const PICTURES: &str = "docs/monitor";
