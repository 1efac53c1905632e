//! The steps of `cargo xtask ci`: the tools that each needs, and the commands that it runs.

use crate::ci::manifests::manifests;
use crate::ci::outside::outside;
use crate::images::Image;
use crate::process::{cargo, run};
use crate::servers::Servers;
use crate::setup::Tool;
use crate::workspace::{Package, ROCKET, SATELLITES, packages, satellite};
use crate::{bench, browser, images, instructions, models, servers, setup, tidy, workspace};
use anyhow::{Context, Result};
use std::fs;
use std::process::Command;

pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) needs: &'static [Tool],
    pub(super) run: Run,
}

/// What a step does.
pub(super) enum Run {
    Alone(fn() -> Result<()>),
    /// With servers; the argument makes a missing one an error.
    OnServers(fn(bool) -> Result<()>),
}

impl Step {
    pub(super) fn run(&self, must: bool) -> Result<()> {
        match self.run {
            Run::Alone(run) => run(),
            Run::OnServers(run) => run(must),
        }
    }
}

/// Before every merge; the quick ones first. The tests follow.
pub(super) const STEPS: &[Step] = &[
    Step { name: "fmt", needs: &[Tool::Rustfmt], run: Run::Alone(fmt) },
    Step { name: "tidy", needs: &[], run: Run::Alone(tidy::run) },
    Step { name: "typos", needs: &[Tool::Typos], run: Run::Alone(typos) },
    Step { name: "deny", needs: &[Tool::CargoDeny], run: Run::Alone(|| deny(&["licenses", "bans", "sources"])) },
    Step { name: "manifests", needs: &[Tool::KubernetesValidate], run: Run::Alone(manifests) },
    Step { name: "clippy", needs: &[Tool::Clippy, Tool::C, Tool::Clients], run: Run::Alone(clippy) },
    Step { name: "docs", needs: &[Tool::C, Tool::Clients], run: Run::Alone(docs) },
    Step { name: "features", needs: &[Tool::Clippy], run: Run::Alone(features) },
    Step { name: "models", needs: &[], run: Run::Alone(models::run) },
    Step { name: "instructions", needs: &[], run: Run::Alone(instructions::run) },
    Step { name: "package", needs: &[Tool::C], run: Run::Alone(package) },
];

/// Only with `--full`: steps that take long and that a single change seldom breaks, at most 15 minutes together. In the last step `--full`
/// also runs the suite's longer tests: a fail-over behind HAProxy, a storm of 300 processes, more changes of a password.
pub(super) const LONGER: &[Step] = &[
    // The live page in Chromium, which is large to install; also that of the example `web` on PostgreSQL.
    Step { name: "browser", needs: &[Tool::Chromium, Tool::C], run: Run::OnServers(browser::run) },
    // The optional features. The drivers' TLS stacks take minutes to build.
    Step { name: "adapters", needs: &[Tool::Clippy, Tool::C, Tool::OpenSsl, Tool::Clients], run: Run::Alone(adapters) },
    // This workspace's lock hides the versions that a new project gets.
    Step { name: "outside", needs: &[Tool::C], run: Run::Alone(outside) },
    // An application on the drop-in for r2d2, whose framework takes minutes to build.
    Step { name: "rocket", needs: &[Tool::Clippy, Tool::C, Tool::Clients], run: Run::Alone(rocket) },
    // Only this tests the properties of the state and of the wire in rarer cases.
    Step { name: "proptest", needs: &[], run: Run::Alone(proptest) },
    // A minute of random texts and bytes for each fuzzer and server; CABRANK_FUZZ_SECONDS sets another time.
    Step { name: "fuzz", needs: &[Tool::C], run: Run::OnServers(fuzz) },
    // A test that fails once in ten runs passes most runs of `test`.
    Step { name: "repeat", needs: &[], run: Run::Alone(repeat) },
    // Nothing else builds the benchmark, because other pools have many dependencies, and only a run shows that its cases work. A case
    // without its server is listed as not measured.
    Step { name: "bench", needs: &[Tool::Clippy, Tool::C, Tool::Clients], run: Run::Alone(bench) },
];

/// Only by name, because it needs more than package registries. The hosted workflow has a job for it.
pub(super) const APART: &[Step] =
    &[Step { name: "advisories", needs: &[Tool::CargoDeny], run: Run::Alone(|| deny(&["advisories"])) }];

const BENCH: &str = "bench/Cargo.toml";
const DENY_WARNINGS: &[&str] = &["--", "-D", "warnings"];

/// The number of cases for each property, instead of 256.
const CASES: &str = "10000";
/// The number of random worlds in the simulation, instead of 8.
const WORLDS: &str = "1000";
/// The number of further runs of the core's tests.
const REPEATS: usize = 3;

fn fmt() -> Result<()> {
    run(&mut cargo(["fmt", "--all", "--check"]))?;
    [BENCH, ROCKET]
        .iter()
        .chain(SATELLITES)
        .try_for_each(|manifest| run(&mut cargo(["fmt", "--all", "--manifest-path", manifest, "--check"])))
}

fn typos() -> Result<()> {
    run(Command::new(setup::typos()).current_dir(workspace::root()))
}

/// Checks the dependencies of this workspace, the benchmark and the separate workspaces by the rules of deny.toml.
fn deny(checks: &[&str]) -> Result<()> {
    for manifest in ["Cargo.toml", BENCH, ROCKET].iter().chain(SATELLITES) {
        let mut command = Command::new(setup::cargo_deny());
        command.args(["--locked", "--config", "deny.toml", "--manifest-path", manifest, "check"]).args(checks);
        // A rule for one workspace may match nothing in another, and a licence that is found by its text alone is enough.
        command.args(["--hide-inclusion-graph", "--allow", "unused-wrapper", "--allow", "no-license-field"]);
        run(command.current_dir(workspace::root()))?;
    }
    Ok(())
}

fn clippy() -> Result<()> {
    run(cargo(["clippy", "--workspace", "--all-targets"]).args(DENY_WARNINGS))?;
    SATELLITES.iter().try_for_each(|manifest| {
        let mut command = satellite("clippy", manifest);
        run(command.args(["--workspace", "--all-targets", "--all-features"]).args(DENY_WARNINGS))
    })
}

fn docs() -> Result<()> {
    let deny_warnings = ("RUSTDOCFLAGS", "-D warnings");
    run(
        cargo(["doc", "--workspace", "--no-deps", "--features", "cabrank/tokio"]).env(deny_warnings.0, deny_warnings.1)
    )?;
    SATELLITES.iter().try_for_each(|manifest| {
        let mut command = satellite("doc", manifest);
        run(command.args(["--no-deps", "--all-features"]).env(deny_warnings.0, deny_warnings.1))
    })
}

/// The core without features and with each alone. Its tests run without any; the main run has them all.
fn features() -> Result<()> {
    let core = packages()?.into_iter().find(|package| package.name == "cabrank").context("no core")?;
    each_feature(&core, "pool/Cargo.toml", "--all-targets")?;
    run(&mut cargo(["test", "--package", "cabrank", "--no-default-features"]))
}

/// Each adapter without features and with each alone: the library only, because the tests need the bundled SQLite.
fn adapters() -> Result<()> {
    workspace::adapters()?.iter().try_for_each(|(package, manifest)| each_feature(package, manifest, "--lib"))
}

fn each_feature(package: &Package, manifest: &str, targets: &str) -> Result<()> {
    let clippy = |features: &[&str]| {
        let mut command = satellite("clippy", manifest);
        run(command.args([targets, "--no-default-features"]).args(features).args(DENY_WARNINGS))
    };
    clippy(&[])?;
    package.features.iter().try_for_each(|feature| clippy(&["--features", feature]))
}

/// Each published crate must build from its package alone. Packaged together, each finds the others although none is published yet.
fn package() -> Result<()> {
    let folder = workspace::target().join("packages");
    // Cargo would take an earlier run's package of the same version for this one.
    let _ = fs::remove_dir_all(&folder);
    let mut command = cargo(["package", "--allow-dirty", "--target-dir"]);
    command.arg(&folder);
    for package in packages()?.iter().filter(|package| package.published) {
        command.args(["--package", &package.name]);
    }
    run(&mut command)
}

fn rocket() -> Result<()> {
    run(satellite("clippy", ROCKET).arg("--all-targets").args(DENY_WARNINGS))?;
    run(&mut satellite("test", ROCKET))
}

fn proptest() -> Result<()> {
    for package in ["cabrank", "cabrank-postgres"] {
        let mut command = cargo(["test", "--release", "--package", package, "--lib"]);
        run(command.env("PROPTEST_CASES", CASES).env("CABRANK_SIMULATIONS", WORLDS))?;
    }
    Ok(())
}

/// Runs each fuzzer. Texts that a scanner of SQL calls harmless run on real servers. A missing server is reported, or an error if `must`,
/// as with the tests.
fn fuzz(must: bool) -> Result<()> {
    let images = servers::wanted(&[Image::Postgres, Image::Mysql, Image::Mariadb]);
    if must && !images.is_empty() {
        images::run(&images::Args::all(must)).context("the servers for the fuzzers are not ready")?;
    }
    let servers = Servers::start(&images, must)?;
    servers.missing.iter().for_each(|missing| println!("{missing}"));
    ["wire", "postgres_sql", "mysql_sql"].iter().try_for_each(|target| {
        let mut command = cargo(["run", "--release", "--package", "fuzz", "--bin", target]);
        run(command.envs(servers.urls.iter().map(|(name, url)| (name, url))))
    })
}

fn repeat() -> Result<()> {
    (0..REPEATS).try_for_each(|_| run(&mut cargo(["test", "--package", "cabrank", "--tests"])))?;
    // These promise times of a millisecond or some microseconds; a debug build takes ten times as long.
    run(&mut cargo(["test", "--release", "--package", "cabrank", "--test", "quiet", "--", "dropping_", "the_numbers_"]))
}

/// A quick run is compared with no goal: its figures mean little on a machine that does other things, too.
fn bench() -> Result<()> {
    run(cargo(["clippy", "--manifest-path", BENCH, "--all-targets"]).args(DENY_WARNINGS))?;
    // In the profile of the run itself, so nothing is built twice.
    run(&mut cargo(["test", "--release", "--manifest-path", BENCH]))?;
    bench::run(&bench::Args::quick()).map(drop)
}
