//! `cargo xtask simulate`: runs the core's simulations of its supply in virtual time and prints their tables. The same tests assert the
//! bounds on the figures whenever the core's tests run.

use crate::process;
use anyhow::{Result, bail};

/// The module of the simulation's tests.
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
        bail!("a simulation failed");
    }
    if ran == 0 {
        bail!("there is no test in {TESTS}");
    }
    println!("\n{ran} tables and searches, all within their bounds");
    Ok(())
}

#[derive(Debug, PartialEq)]
enum Kind {
    /// A title or a row.
    Table,
    /// The harness's own output.
    Harness,
    /// Shown only after a failure.
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

/// The number of tests that passed, if this line ends a run that succeeded.
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
