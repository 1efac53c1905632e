//! `cargo xtask bench`: compares cabrank with other pools. Builds the benchmark, which is a separate workspace, starts servers for it, and
//! runs it.

use crate::images::Image;
use crate::process::cargo;
use crate::servers::Servers;
use crate::setup::Tool;
use crate::workspace::SATELLITES;
use crate::{docker, process, servers, setup, workspace};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Fewer and shorter rounds, in under three minutes.
    #[arg(long)]
    quick: bool,
    /// Runs only the cases whose names begin with this; may be given more than once.
    #[arg(long = "case", value_name = "NAME")]
    cases: Vec<String>,
    /// Also writes the rows to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compares the medians of three runs (of one with --quick) with the goals; exit status 1 if a goal is missed or a peer could not be
    /// measured.
    #[arg(long)]
    check: bool,
    /// With --check: a peer that could not be measured is no failure.
    #[arg(long)]
    allow_missing: bool,
    /// Measures nothing: shows, checks and writes the results of the last run.
    #[arg(long)]
    reuse: bool,
    /// Writes tables and plots into docs/performance.md and README.md, and those of a fail-over into docs/operating.md.
    #[arg(long)]
    docs: bool,
    /// Measures nothing: draws the plots of docs/performance.md again, from docs/performance/curves.json.
    #[arg(long)]
    replot: bool,
}

impl Args {
    /// Every case, in a short run without goals.
    pub(crate) fn quick() -> Self {
        Self { quick: true, ..Self::default() }
    }

    /// Whether cases whose names begin with `prefix` are to be measured.
    fn wants(&self, prefix: &str) -> bool {
        let named = || self.cases.iter().any(|case| case.starts_with(prefix) || prefix.starts_with(&**case));
        !self.reuse && !self.replot && (self.cases.is_empty() || named())
    }
}

/// Returns false if the check failed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    setup::ready(&[Tool::C, Tool::Clients], false)?;
    process::run(&mut bench("build"))?;
    let mut program = bench("run");
    program.arg("--quiet").arg("--").arg("--out").arg(workspace::target().join("bench"));
    let flags = [
        ("--quick", args.quick),
        ("--check", args.check),
        ("--allow-missing", args.allow_missing),
        ("--reuse", args.reuse),
        ("--docs", args.docs),
        ("--replot", args.replot),
    ];
    program.args(flags.iter().filter(|(_, given)| *given).map(|(name, _)| name));
    if args.wants("pg_diesel") || args.wants("diesel") {
        program.arg("--drop-in").arg(on_the_drop_in()?);
    }
    for case in &args.cases {
        program.args(["--case", case]);
    }
    if let Some(file) = &args.json {
        // Cargo runs in another folder than the caller.
        program.arg("--json").arg(std::path::absolute(file)?);
    }
    docker::sweep().ok();
    let servers = Servers::start(&servers::wanted(&images(args)), false)?;
    servers.missing.iter().for_each(|missing| println!("{missing}"));
    program.envs(servers.urls.iter().map(|(name, url)| (name, url)));
    process::status(&mut program)
}

/// A cargo command for the benchmark's workspace.
fn bench(command: &str) -> Command {
    cargo([command, "--release", "--manifest-path", "bench/Cargo.toml"])
}

/// Builds the program for the cases on Diesel, in the workspace where the drop-in replaces r2d2.
fn on_the_drop_in() -> Result<PathBuf> {
    let manifest = ["build", "--release", "--package", "diesel-trouble", "--manifest-path", SATELLITES[1]];
    process::run(cargo(manifest).arg("--target-dir").arg(workspace::target()))?;
    Ok(workspace::target().join("release/diesel-trouble"))
}

/// The images of the servers that the cases need.
fn images(args: &Args) -> Vec<Image> {
    let postgres =
        ["pg_", "diesel", "http_", "recovery", "killed", "black_hole"].iter().any(|prefix| args.wants(prefix));
    let mysql = args.wants("mysql_");
    [(Image::Postgres, postgres), (Image::Mysql, mysql), (Image::Mariadb, args.wants("mysql_insert"))]
        .into_iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(image, _)| image)
        .collect()
}
