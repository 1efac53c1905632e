//! Counts tests: reads the output of the test harness and adds it up. A test that did not run never counts as passed.

use std::fmt;

/// How many tests passed, failed, and did not run.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    /// Whether nothing failed and something passed: a run without tests proves nothing.
    pub(crate) fn good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Reads the output of `cargo test`, line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    tally: Tally,
    /// The number of tests that the running binary announced; `None` between binaries.
    announced: Option<usize>,
    failures: Vec<String>,
    /// The harness's reasons for ignoring tests, each with the tests' names.
    ignored: Vec<(String, Vec<String>)>,
    left_out: usize,
    /// The number of failures when the last run of cargo ended.
    failed_before: usize,
}

impl Reader {
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(announced) = announced(line) {
            self.close_binary();
            self.announced = Some(announced);
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.announced = None;
            self.tally.passed += count(result, "passed");
            self.tally.failed += count(result, "failed");
            self.tally.skipped += count(result, "ignored");
            self.left_out += count(result, "filtered out");
        } else if let Some((name, outcome)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            if outcome == "FAILED" {
                self.failures.push(name.trim_end().to_owned());
            } else if let Some(reason) = reason(outcome) {
                self.ignore(name.trim_end(), reason);
            }
        }
    }

    /// Ends one run of cargo. More may follow.
    pub(crate) fn end_of_run(&mut self, succeeded: bool) {
        self.close_binary();
        if !succeeded && self.tally.failed == self.failed_before {
            self.tally.failed += 1;
            self.failures.push("cargo, without a failed test: a build error, counted as one failure".into());
        }
        self.failed_before = self.tally.failed;
    }

    /// The counts, and a remark for each failed or skipped test.
    pub(crate) fn finish(self) -> Report {
        let mut remarks: Vec<_> = self.failures.into_iter().map(|name| format!("failed: {name}")).collect();
        for (reason, names) in self.ignored {
            match &names[..] {
                few if few.len() <= FEW => remarks.extend(few.iter().map(|name| format!("skipped: {name}: {reason}"))),
                many => remarks.push(format!("skipped: {} tests: {reason}", many.len())),
            }
        }
        if self.left_out > 0 {
            remarks.push(format!("the filter left out {} more", self.left_out));
        }
        Report { tally: self.tally, remarks }
    }

    fn ignore(&mut self, name: &str, reason: &str) {
        match self.ignored.iter_mut().find(|(other, _)| other == reason) {
            Some((_, names)) => names.push(name.to_owned()),
            None => self.ignored.push((reason.to_owned(), vec![name.to_owned()])),
        }
    }

    /// A binary that ended without a result has crashed. Which of its tests passed is unknown, so all count as failed.
    fn close_binary(&mut self) {
        if let Some(announced) = self.announced.take() {
            self.tally.failed += announced.max(1);
            self.failures.push(format!("a test binary died; its {announced} tests count as failed"));
        }
    }
}

/// The count, with remarks for the reader.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) tally: Tally,
    pub(crate) remarks: Vec<String>,
}

/// The number in `running 12 tests`.
fn announced(line: &str) -> Option<usize> {
    let rest = line.strip_prefix("running ")?;
    rest.strip_suffix(" tests").or_else(|| rest.strip_suffix(" test"))?.parse().ok()
}

/// Why a test was ignored: after a comma in the standard harness, in brackets in the test kit's.
fn reason(outcome: &str) -> Option<&str> {
    let given = outcome.strip_prefix("ignored")?;
    given.strip_prefix(", ").or_else(|| given.strip_prefix(" (")?.strip_suffix(')'))
}

/// The number before `what`, in a line such as `ok. 3 passed; 0 failed; 1 ignored; ..`.
fn count(result: &str, what: &str) -> usize {
    let part = result.split(['.', ';']).find_map(|part| part.trim().strip_suffix(what));
    part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

/// Up to this many tests with the same reason are listed one by one.
const FEW: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "running 4 tests\n\
        test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s\n";

    fn read(output: &str, succeeded: bool) -> Report {
        let mut reader = Reader::default();
        output.lines().for_each(|line| reader.line(line));
        reader.end_of_run(succeeded);
        reader.finish()
    }

    #[test]
    fn results_of_all_binaries_are_added_up() {
        let report = read(&GOOD.repeat(2), true);
        assert_eq!(report.tally.to_string(), "6 passed, 0 failed, 2 skipped");
        assert_eq!(report.remarks, ["the filter left out 4 more"]);
        assert!(report.tally.good());
    }

    #[test]
    fn a_failed_test_is_counted_and_named() {
        let output = "running 2 tests\ntest a ... ok\ntest b::c ... FAILED\n\
            test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n";
        let report = read(output, false);
        assert_eq!(report.tally, Tally { passed: 1, failed: 1, skipped: 0 });
        assert_eq!(report.remarks, ["failed: b::c"]);
        assert!(!report.tally.good());
    }

    #[test]
    fn a_test_that_could_not_apply_is_skipped_not_passed() {
        let output = format!("test a::b   ... ignored (no IPv6 here)\n{GOOD}");
        let report = read(&output, true);
        assert_eq!(report.tally, Tally { passed: 3, failed: 0, skipped: 1 });
        assert_eq!(report.remarks[0], "skipped: a::b: no IPv6 here");
    }

    #[test]
    fn many_tests_with_one_reason_are_told_in_one_line() {
        let output =
            |count: usize| (0..count).map(|at| format!("test t{at} ... ignored (no server)\n")).collect::<String>();
        assert_eq!(read(&output(6), true).remarks, ["skipped: 6 tests: no server"]);
        assert_eq!(read(&output(5), true).remarks.len(), 5);
    }

    #[test]
    fn what_the_harness_ignored_is_listed_with_its_reason() {
        let output =
            "test a   ... ignored (no (big) server)\ntest b ... ignored\ntest c   ... FAILED\ntest d ... ignored, e\n";
        let report = read(output, true);
        assert_eq!(
            report.remarks[..3],
            ["failed: c", "skipped: a: no (big) server", "skipped: d: e"].map(String::from)
        );
    }

    #[test]
    fn a_build_that_fails_is_one_failure() {
        let report = read("", false);
        assert_eq!(report.tally.to_string(), "0 passed, 1 failed, 0 skipped");
        assert_eq!(read(GOOD, false).tally.failed, 1);
    }

    #[test]
    fn several_runs_have_one_tally() {
        let mut reader = Reader::default();
        for succeeded in [false, true, false] {
            GOOD.lines().for_each(|line| reader.line(line));
            reader.end_of_run(succeeded);
        }
        assert_eq!(reader.finish().tally, Tally { passed: 9, failed: 2, skipped: 3 });
    }

    #[test]
    fn no_test_of_a_binary_that_died_counts_as_passed() {
        let report = read(&format!("running 7 tests\ntest a ... ok\n{GOOD}running 0 tests\n"), false);
        assert_eq!(report.tally, Tally { passed: 3, failed: 8, skipped: 1 });
    }

    #[test]
    fn a_run_of_no_tests_is_not_good() {
        assert!(!read("running 0 tests\ntest result: ok. 0 passed; 0 failed; 0 ignored\n", true).tally.good());
    }
}
