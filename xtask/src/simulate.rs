//! `cargo xtask simulate`: the core's simulations of its supply in virtual time, and the table of each. The bounds on the figures
//! are asserted by the same tests whenever the core's tests run; here one can read them.

use crate::process;
use anyhow::{Result, bail};

/// What a test of the simulation is called, with the folder that they lie in.
const TESTS: &str = "state::tests::simulation";

pub(crate) fn run() -> Result<()> {
    let mut command =
        process::cargo(["test", "--package", "cabrank", "--lib", TESTS, "--", "--nocapture", "--test-threads=1"]);
    let (mut ran, mut said) = (0, Vec::new());
    let status = process::lines(&mut command, None, |line| match kind(line) {
        Kind::Table => println!("{line}"),
        Kind::Harness => ran = count(line).unwrap_or(ran),
        Kind::Other => said.push(line.to_owned()),
    })?;
    if !status.is_some_and(|status| status.success()) {
        println!("\n{}", said.join("\n"));
        bail!("a simulation fails");
    }
    if ran == 0 {
        bail!("no test is named {TESTS}");
    }
    println!("\n{ran} tables and searches, all within their bounds");
    Ok(())
}

#[derive(Debug, PartialEq)]
enum Kind {
    /// A title, or a row.
    Table,
    /// What the test harness says by itself.
    Harness,
    /// What is of interest when something fails.
    Other,
}

fn kind(line: &str) -> Kind {
    if line.is_empty() || line.starts_with('#') || line.starts_with('|') {
        Kind::Table
    } else if line == "ok" || line.starts_with("test ") || line.starts_with("running ") {
        Kind::Harness
    } else {
        Kind::Other
    }
}

/// How many tests passed, if that is what ends the run.
fn count(line: &str) -> Option<usize> {
    line.strip_prefix("test result: ok. ")?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_told_from_what_the_harness_says() {
        assert_eq!(kind("# growth"), Kind::Table);
        assert_eq!(kind("| burst | 250 |"), Kind::Table);
        assert_eq!(kind("test state::tests::simulation::a ... "), Kind::Harness);
        assert_eq!(kind("bounds are broken:"), Kind::Other);
    }

    #[test]
    fn the_tests_that_passed_are_counted() {
        assert_eq!(count("test result: ok. 17 passed; 0 failed; 0 ignored"), Some(17));
        assert_eq!(count("test result: FAILED. 16 passed; 1 failed"), None);
        assert_eq!(count("ok"), None);
    }
}
