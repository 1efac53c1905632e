//! `cargo xtask test`: every test of the workspace, or of one engine, and how many of them passed, failed, did not run.
//!
//! A test that finds on the spot that it does not apply to this machine appends the line `name: reason` to the file
//! that `CABRANK_SKIP_LOG` names and returns. The harness calls that a pass; here it is counted as skipped.

use std::{
    fs,
    io::{self, IsTerminal},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::{
    process,
    setup::{self, Tool, Unready},
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
    let selection = selection(args.engine)?;
    setup::ready(&[Tool::C], setup::asked(args.setup))?;

    let skip_log = workspace::target().join(format!("skipped-{}.log", std::process::id()));
    fs::create_dir_all(workspace::target())?;
    fs::write(&skip_log, "").with_context(|| format!("cannot write {}", skip_log.display()))?;

    // All binaries run, whatever fails, so that the count is that of the whole.
    let mut command = process::cargo(["test", "--no-fail-fast"]);
    command.args(selection).args(&args.filter).env("CABRANK_SKIP_LOG", &skip_log);
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
    println!();
    report.remarks.iter().for_each(|remark| println!("{remark}"));
    if report.tally.passed + report.tally.failed == 0 {
        println!("no test ran, which proves nothing: the exit status is that of a failure");
    }
    Ok(report.tally)
}

/// What cargo is to test for an engine. `--workspace` without `--all-targets`, which would leave out the doc tests.
fn selection(engine: Engine) -> Result<&'static [&'static str], Unready> {
    match engine {
        Engine::All => Ok(&["--workspace"]),
        Engine::Sqlite => Ok(&["--package", "cabrank-sqlite"]),
        Engine::Postgres => Err(Unready("no suite for postgres yet".into())),
        Engine::Mysql => Err(Unready("no suite for mysql yet".into())),
        Engine::Mariadb => Err(Unready("no suite for mariadb yet".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_without_a_suite_is_refused() {
        assert!(selection(Engine::All).is_ok());
        assert_eq!(selection(Engine::Mysql).unwrap_err().to_string(), "no suite for mysql yet");
    }
}
