//! `cargo xtask ci`: runs everything that must hold, stops at the first step that fails, and prints the seconds of each step.
//!
//! The steps are in `steps.rs`. The tests come last, so their count ends the log.

mod manifests;
mod outside;
mod steps;
mod times;

use crate::setup::Tool;
use crate::tally::Tally;
use crate::{instructions, setup, test};
use anyhow::{Error, Result};
use clap::builder::PossibleValuesParser;
use steps::{APART, LONGER, STEPS, Step};
use times::Times;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also runs the longer steps.
    #[arg(long)]
    full: bool,
    /// Runs this step alone; may be given more than once.
    #[arg(long = "only", value_name = "STEP", value_parser = PossibleValuesParser::new(names()))]
    only: Vec<String>,
    /// First installs missing tools and images, where possible.
    #[arg(long)]
    setup: bool,
}

/// The last step. It is not in the table, because it returns a count.
const TEST: &str = "test";

/// Runs the steps and then the tests. The caller prints the tally, as its last line; `None` if the tests were not chosen.
pub(crate) fn run(args: &Args) -> Result<Option<Tally>> {
    let chosen = args.steps();
    let mut times = Times::default();
    let asked = setup::asked(args.setup);
    let done = times.measure("setup", || setup::ready(&needs(&chosen), asked));
    let failure = done.err().map(|error| ("setup", error)).or_else(|| run_steps(&chosen, asked, &mut times));
    let tally = match failure {
        Some((step, error)) => {
            println!("\nstep `{step}` failed: {error:#}\nthe steps after it did not run; it counts as one failure");
            if error.is::<setup::Unready>() {
                return Err(error);
            }
            Some(Tally { failed: 1, ..Tally::default() })
        }
        None if args.runs(TEST) => Some(run_tests(&mut times, args.full)?),
        None => None,
    };
    println!("\n{}", times.table(args.full));
    Ok(tally)
}

impl Args {
    /// The chosen steps, in the order of the tables.
    fn steps(&self) -> Vec<&'static Step> {
        let longer = LONGER.iter().filter(|_| self.full || !self.only.is_empty());
        let apart = APART.iter().filter(|_| !self.only.is_empty());
        STEPS.iter().chain(longer).chain(apart).filter(|step| self.runs(step.name)).collect()
    }

    fn runs(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

fn names() -> Vec<&'static str> {
    STEPS.iter().chain(LONGER).chain(APART).map(|step| step.name).chain([TEST]).collect()
}

/// The tools for these steps. They are checked first: a missing one is reported at once, not after half an hour.
fn needs(steps: &[&Step]) -> Vec<Tool> {
    let mut needs = Vec::new();
    for tool in steps.iter().flat_map(|step| step.needs) {
        if !needs.contains(tool) {
            needs.push(*tool);
        }
    }
    needs
}

/// Returns the step that failed; none runs after it.
fn run_steps(steps: &[&Step], servers_must: bool, times: &mut Times) -> Option<(&'static str, Error)> {
    steps.iter().find_map(|step| Some((step.name, times.measure(step.name, || step.run(servers_must)).err()?)))
}

fn run_tests(times: &mut Times, longer: bool) -> Result<Tally> {
    let mut tally = times.measure(TEST, || test::run(&test::Args::everything(longer)))?;
    if let Some(reason) = instructions::missing() {
        println!("skipped: instructions: {reason}");
        tally.skipped += 1;
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{bail, ensure};
    use steps::Run;

    fn args(only: &[&str], full: bool) -> Args {
        Args { full, only: only.iter().map(|name| (*name).to_owned()).collect(), setup: false }
    }

    fn names_of(args: &Args) -> Vec<&str> {
        args.steps().iter().map(|step| step.name).collect()
    }

    #[test]
    fn the_first_step_that_fails_is_the_last_that_runs() {
        let step = |name, run| Step { name, needs: &[], run: Run::Alone(run) };
        let (one, two) = (step("one", || Ok(())), step("two", || bail!("broken")));
        let three = step("three", || Ok(()));
        let mut times = Times::default();
        assert_eq!(run_steps(&[&one, &two, &three], false, &mut times).unwrap().0, "two");
        assert_eq!(times.names(), ["one", "two"]);
        assert!(run_steps(&[&one], false, &mut Times::default()).is_none());
    }

    #[test]
    fn a_step_on_servers_hears_whether_they_must_be_there() {
        let run = |must: bool| {
            ensure!(!must, "there is no server");
            Ok(())
        };
        let step = Step { name: "servers", needs: &[], run: Run::OnServers(run) };
        assert!(run_steps(&[&step], false, &mut Times::default()).is_none());
        assert_eq!(run_steps(&[&step], true, &mut Times::default()).unwrap().0, "servers");
        assert!(LONGER.iter().any(|step| step.name == "fuzz" && matches!(step.run, Run::OnServers(_))));
    }

    #[test]
    fn what_takes_longer_runs_only_when_asked_for() {
        assert_eq!(names_of(&args(&[], false)).len(), STEPS.len());
        assert_eq!(names_of(&args(&[], true)).len(), STEPS.len() + LONGER.len());
        assert_eq!(names_of(&args(&["tidy", "fmt"], false)), ["fmt", "tidy"]);
        assert_eq!(names_of(&args(&[LONGER[0].name], false)), [LONGER[0].name]);
        assert_eq!(names_of(&args(&[APART[0].name], false)), [APART[0].name]);
        assert!(args(&[], false).runs(TEST) && !args(&["tidy"], true).runs(TEST));
    }

    #[test]
    fn each_name_stands_for_one_step() {
        let mut names = names();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len() + LONGER.len() + APART.len() + 1);
    }

    #[test]
    fn each_tool_is_looked_for_once() {
        let steps: Vec<_> = STEPS.iter().collect();
        let clippy = needs(&steps).iter().filter(|tool| **tool == Tool::Clippy).count();
        assert_eq!(clippy, 1);
    }
}
