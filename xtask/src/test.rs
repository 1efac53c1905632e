//! `cargo xtask test`: runs every test of the workspace, or of one engine, and counts those that passed, failed and were skipped.
//!
//! The tests of the adapters and the examples get servers in containers; the suite in `integration-tests` starts its own, because it stops
//! and freezes them. `--setup` first provides Docker and the images. Containers whose owner was killed are removed before and after.

use crate::images::Image;
use crate::servers::Servers;
use crate::setup::Tool;
use crate::tally::{Reader, Tally};
use crate::workspace::SATELLITES;
use crate::{docker, images, process, servers, setup, workspace};
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::io;
use std::io::IsTerminal;
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// First installs missing tools and images, where possible.
    #[arg(long)]
    setup: bool,
    /// The engine whose tests to run.
    #[arg(long, value_enum, default_value_t = Engine::All)]
    engine: Engine,
    /// Runs only the tests with this in their names.
    #[arg(long)]
    filter: Option<String>,
    /// Also runs the longer tests, as `ci --full` does.
    #[arg(long)]
    longer: bool,
}

impl Args {
    /// Everything; installs what is missing only where `CI=true`.
    pub(crate) fn everything(longer: bool) -> Self {
        Self { setup: false, engine: Engine::All, filter: None, longer }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Engine {
    All,
    Sqlite,
    Postgres,
    Mysql,
    Mariadb,
}

/// Everything but the suite, with all features of the core.
const WORKSPACE: &[&str] = &["--workspace", "--exclude", SUITE[1], "--features", "cabrank/tokio"];

/// The suite on real servers.
const SUITE: &[&str] = &["--package", "integration-tests"];

/// With the TLS feature that needs no library of the system. It costs one more build of the driver.
const MYSQL_TLS: &[&str] = &["--package", "cabrank-mysql", "--features", "rustls-tls-ring", "--test", "tls"];

/// Separate workspaces, with the same servers.
const R2D2_ADAPTER: &[&str] = &["--manifest-path", SATELLITES[0], "--all-features"];
const R2D2_DROP_IN: &[&str] = &["--manifest-path", SATELLITES[1], "--workspace"];

/// Tests that print nothing for this long, builds included, are killed as hanging.
const SILENCE: Duration = Duration::from_secs(25 * 60);

/// Runs the tests and lists what was skipped or failed. The caller prints the tally, as its last line.
pub(crate) fn run(args: &Args) -> Result<Tally> {
    let install = setup::asked(args.setup);
    setup::ready(args.engine.needs(), install)?;
    let images = servers::wanted(args.engine.images());
    if install && !images.is_empty() {
        images::run(&images::Args::all(args.setup)).context("the servers for the tests are not ready")?;
    }
    sweep();

    let mut reader = Reader::default();
    let servers = Servers::start(&images, install)?;
    servers.missing.iter().for_each(|missing| println!("{missing}"));
    let mut heard = true;
    for own in args.engine.own_tests() {
        heard = heard && cargo_test(args, own, &servers.urls, &mut reader)?;
    }
    let missing = servers.missing.clone();
    // Removed before the suite starts its own servers.
    drop(servers);
    heard = heard && cargo_test(args, SUITE, &[], &mut reader)?;
    if !heard {
        println!("the tests printed nothing for {SILENCE:?}: they were killed, and those after them did not run");
    }

    let report = reader.finish();
    sweep();
    println!();
    report.remarks.iter().chain(&missing).for_each(|remark| println!("{remark}"));
    if report.tally.passed + report.tally.failed == 0 {
        println!("no test ran: this counts as a failure");
    }
    Ok(report.tally)
}

/// One run of `cargo test`. Returns false if it fell silent and was killed.
fn cargo_test(args: &Args, which: &[&str], urls: &[(&str, String)], reader: &mut Reader) -> Result<bool> {
    // All binaries run even if one fails, so the count is complete.
    let mut command = process::cargo(["test", "--no-fail-fast", "--target-dir"]);
    command.arg(workspace::target()).args(which).args(&args.filter);
    command.envs(urls.iter().map(|(name, url)| (name, url)));
    if args.longer {
        command.env("CABRANK_LONGER", "1");
    }
    if let Some(engine) = args.engine.name() {
        command.env("CABRANK_ENGINE", engine);
    }
    // At a terminal the user sees a hang, and may have stopped the test in a debugger.
    let limit = (!io::stdin().is_terminal()).then_some(SILENCE);
    let status = process::lines(&mut command, limit, |line| {
        println!("{line}");
        reader.line(line);
    })?;
    reader.end_of_run(status.is_some_and(|status| status.success()));
    Ok(status.is_some())
}

impl Engine {
    /// The arguments of each run of cargo with the containers: everything but the suite.
    fn own_tests(self) -> &'static [&'static [&'static str]] {
        match self {
            // Without `--all-targets`, which would leave out the doc tests.
            Self::All => &[WORKSPACE, MYSQL_TLS, R2D2_ADAPTER, R2D2_DROP_IN],
            Self::Sqlite => &[&["--package", "cabrank-sqlite"]],
            Self::Postgres => &[&["--package", "cabrank-postgres"]],
            // One adapter has the tests of both engines.
            Self::Mysql | Self::Mariadb => &[&["--package", "cabrank-mysql"], MYSQL_TLS],
        }
    }

    /// The tools that its tests need.
    fn needs(self) -> &'static [Tool] {
        match self {
            Self::All => &[Tool::C, Tool::Clients],
            _ => &[Tool::C],
        }
    }

    /// The value of `CABRANK_ENGINE`.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Sqlite => Some("sqlite"),
            Self::Postgres => Some("postgres"),
            Self::Mysql => Some("mysql"),
            Self::Mariadb => Some("mariadb"),
        }
    }

    /// The images of its servers.
    fn images(self) -> &'static [Image] {
        match self {
            Self::All => &[Image::Postgres, Image::Pgbouncer, Image::Mysql, Image::Mariadb, Image::Redis],
            Self::Sqlite => &[],
            Self::Postgres => &[Image::Postgres, Image::Pgbouncer],
            Self::Mysql => &[Image::Mysql],
            Self::Mariadb => &[Image::Mariadb],
        }
    }
}

/// Without Docker there are no containers to remove, so an error is ignored.
fn sweep() {
    if let Ok(swept @ 1..) = docker::sweep() {
        println!("removed {swept} containers of tests that were killed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_has_tests_and_the_suite_is_never_among_those_with_our_servers() {
        for engine in Engine::value_variants() {
            assert!(!engine.own_tests().is_empty());
            assert_eq!(engine.name().is_none(), *engine == Engine::All);
            let suite = |run: &&[&str]| run.windows(2).any(|words| words == SUITE);
            assert!(!engine.own_tests().iter().any(suite));
        }
        assert!(Engine::All.own_tests()[0].windows(2).any(|words| words == ["--exclude", SUITE[1]]));
    }
}
