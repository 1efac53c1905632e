//! `cargo xtask test`: every test of the workspace, or of one engine, and how many of them passed, failed, did not run.
//!
//! Real servers come as containers that the tests start themselves; with `--setup`, Docker and the images are seen to
//! first. Containers whose tests were killed are removed before and after.
//!
//! A test that finds on the spot that it does not apply to this machine appends the line `name: reason` to the file
//! that `CABRANK_SKIP_LOG` names and returns. The harness calls that a pass; here it is counted as skipped.

use std::{
    env, fs,
    io::{self, IsTerminal},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::{
    docker, images, process,
    setup::{self, Tool},
    tally::{Reader, Tally},
    workspace,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// First installs what the tests need and this machine lacks, where that is possible.
    #[arg(long)]
    setup: bool,
    /// Whose tests to run.
    #[arg(long, value_enum, default_value_t = Engine::All)]
    engine: Engine,
    /// Runs only the tests whose name contains this.
    #[arg(long)]
    filter: Option<String>,
}

impl Args {
    /// Everything, with whatever set-up CI allows.
    pub(crate) fn everything() -> Self {
        Self { setup: false, engine: Engine::All, filter: None }
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

/// Tests that print nothing for so long hang. The time to build them counts, too.
const SILENCE: Duration = Duration::from_secs(25 * 60);

/// Runs the tests and says what was skipped or failed. The caller prints the tally itself, as its last line.
pub(crate) fn run(args: &Args) -> Result<Tally> {
    setup::ready(&[Tool::C], setup::asked(args.setup))?;
    if setup::asked(args.setup) && args.engine.wants_containers() {
        images::run(&images::Args::all(args.setup)).context("the servers for the tests are not ready")?;
    }
    sweep();

    let skip_log = workspace::target().join(format!("skipped-{}.log", std::process::id()));
    fs::create_dir_all(workspace::target())?;
    fs::write(&skip_log, "").with_context(|| format!("cannot write {}", skip_log.display()))?;

    // All binaries run, whatever fails, so that the count is that of the whole.
    let mut command = process::cargo(["test", "--no-fail-fast"]);
    command.args(args.engine.packages()).args(&args.filter).env("CABRANK_SKIP_LOG", &skip_log);
    if let Some(engine) = args.engine.name() {
        command.env("CABRANK_ENGINE", engine);
    }
    let mut reader = Reader::default();
    // At a terminal somebody sees that nothing moves, and may have stopped it in a debugger.
    let limit = (!io::stdin().is_terminal()).then_some(SILENCE);
    let status = process::lines(&mut command, limit, |line| {
        println!("{line}");
        reader.line(line);
    })?;
    if status.is_none() {
        println!("nothing was heard of the tests for {SILENCE:?}: they were killed, and those after them did not run");
    }

    let report = reader.finish(status.is_some_and(|status| status.success()), &fs::read_to_string(&skip_log)?);
    fs::remove_file(&skip_log)?;
    sweep();
    println!();
    report.remarks.iter().for_each(|remark| println!("{remark}"));
    if report.tally.passed + report.tally.failed == 0 {
        println!("no test ran, which proves nothing: the exit status is that of a failure");
    }
    Ok(report.tally)
}

impl Engine {
    /// What cargo is to test. `--workspace` without `--all-targets`, which would leave out the doc tests.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::All => &["--workspace"],
            Self::Sqlite => &["--package", "cabrank-sqlite", "--package", "integration-tests"],
            Self::Postgres | Self::Mysql | Self::Mariadb => &["--package", "integration-tests"],
        }
    }

    /// What the suite is told to confine itself to.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Sqlite => Some("sqlite"),
            Self::Postgres => Some("postgres"),
            Self::Mysql => Some("mysql"),
            Self::Mariadb => Some("mariadb"),
        }
    }

    /// Unless the environment names a server for each engine, or wants none.
    fn wants_containers(self) -> bool {
        let given = |name: &str| env::var(name).is_ok_and(|value| !value.is_empty());
        let urls: &[&str] = match self {
            Self::Sqlite => return false,
            Self::Postgres => &["CABRANK_POSTGRES_URL"],
            Self::Mysql => &["CABRANK_MYSQL_URL"],
            Self::Mariadb => &["CABRANK_MARIADB_URL"],
            Self::All => &["CABRANK_POSTGRES_URL", "CABRANK_MYSQL_URL", "CABRANK_MARIADB_URL"],
        };
        !given("CABRANK_SKIP_SERVERS") && !urls.iter().all(|url| given(url))
    }
}

/// Where there is no Docker, nothing is left over on it either.
fn sweep() {
    if let Ok(swept @ 1..) = docker::sweep() {
        println!("removed {swept} containers of tests that were killed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_has_a_suite() {
        for engine in Engine::value_variants() {
            assert!(!engine.packages().is_empty());
            assert_eq!(engine.name().is_none(), *engine == Engine::All);
        }
        assert!(!Engine::Sqlite.wants_containers());
    }
}
