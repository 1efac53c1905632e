//! `cargo xtask ci`: everything that must hold, in one run, stopping at the first step that fails.
//!
//! The quick checks come first. The tests come last, so that their count closes the log.

use crate::process::{cargo, run as run_command};
use crate::setup::Tool;
use crate::tally::Tally;
use crate::workspace::packages;
use crate::{instructions, models, setup, test, tidy};
use anyhow::Result;
use std::time::{Duration, Instant};

type Step = (&'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("setup", || setup::ready(&[Tool::Rustfmt, Tool::Clippy, Tool::C], setup::asked(false))),
    ("fmt", fmt),
    ("tidy", tidy::run),
    ("clippy", || run_command(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))),
    ("docs", || run_command(cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))),
    ("features", features),
    ("models", models::run),
    ("instructions", instructions::run),
    ("package", package),
];

/// Runs the steps and then the tests. The caller prints the tally, as its last line.
pub(crate) fn run() -> Result<Tally> {
    let (mut times, failure) = run_steps(STEPS);
    let tally = match failure {
        Some((step, error)) => {
            println!("\nstep `{step}` failed: {error:#}\nthe tests did not run; the step counts as one failure");
            if error.is::<setup::Unready>() {
                return Err(error);
            }
            Tally { failed: 1, ..Tally::default() }
        }
        None => {
            let begun = begin("test");
            let mut tally = test::run(&test::Args::everything())?;
            times.push(("test", begun.elapsed()));
            if let Some(reason) = instructions::missing() {
                println!("skipped: instructions: {reason}");
                tally.skipped += 1;
            }
            tally
        }
    };
    println!();
    times.iter().for_each(|(step, time)| println!("{step:>10} {:>7.1} s", time.as_secs_f64()));
    Ok(tally)
}

/// What each step took, and the step that failed, after which none ran.
fn run_steps(steps: &[Step]) -> (Vec<(&'static str, Duration)>, Option<(&'static str, anyhow::Error)>) {
    let mut times = Vec::new();
    for &(name, step) in steps {
        let begun = begin(name);
        let done = step();
        times.push((name, begun.elapsed()));
        if let Err(error) = done {
            return (times, Some((name, error)));
        }
    }
    (times, None)
}

fn begin(step: &str) -> Instant {
    println!("\n== {step}");
    Instant::now()
}

/// The benchmark, too, although nothing else here builds it: what other pools bring along would take minutes.
fn fmt() -> Result<()> {
    run_command(&mut cargo(["fmt", "--all", "--check"]))?;
    run_command(&mut cargo(["fmt", "--manifest-path", "bench/Cargo.toml", "--check"]))
}

/// The core without features and with each alone. Its tests run without any, too: the main run has them all.
fn features() -> Result<()> {
    let core = || cargo(["clippy", "--package", "cabrank", "--all-targets", "--no-default-features"]);
    let deny_warnings = ["--", "-D", "warnings"];
    run_command(core().args(deny_warnings))?;
    for package in packages()?.iter().filter(|package| package.name == "cabrank") {
        for feature in &package.features {
            run_command(core().args(["--features", feature]).args(deny_warnings))?;
        }
    }
    run_command(&mut cargo(["test", "--package", "cabrank", "--no-default-features"]))
}

/// Each published crate must build from nothing but its package. They are packaged together, so that each finds the
/// others although none is published yet.
fn package() -> Result<()> {
    let mut command = cargo(["package", "--allow-dirty"]);
    for package in packages()?.iter().filter(|package| package.published) {
        command.args(["--package", &package.name]);
    }
    run_command(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn the_first_step_that_fails_is_the_last_that_runs() {
        let steps: &[Step] = &[("one", || Ok(())), ("two", || bail!("broken")), ("three", || Ok(()))];
        let (times, failure) = run_steps(steps);
        assert_eq!(times.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(failure.unwrap().0, "two");
        assert!(run_steps(&steps[..1]).1.is_none());
    }
}
