//! `cargo xtask instructions`: counts the instructions of one `get` and one drop, for a thread, for a task, and with more borrowers than
//! connections. Unlike the time, their number hardly varies on a busy machine, so CI detects a regression.
//!
//! Valgrind counts them: the result is the difference between two runs of `xtask/cycle` with different numbers of cycles. Without valgrind
//! nothing is counted, and the step is reported as skipped.

use crate::process::cargo;
use crate::{process, workspace};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// A use of the pool whose cycles are counted.
struct Case {
    about: &'static str,
    program: &'static str,
    /// The program's arguments after the number of cycles.
    arguments: &'static [&'static str],
    cycles: u64,
    /// The number of counts. The smallest is the result, because chance only adds.
    times: u32,
    /// Slightly more than a cycle costs, because compilers differ. Lower it when you have made the cycle shorter.
    at_most: u64,
}

/// With a queue the count varies by a quarter, because chance decides which waiter wakes when: 3,080 to 3,300 were measured on idle
/// machines, 3,370 to 3,830 on busy ones. (About 7 % of it came with the cells, which such a loan looks at and cannot use.)
const CASES: &[Case] = &[
    Case {
        about: "with nothing opened ahead",
        program: "cycle",
        arguments: &["0"],
        cycles: 200_000,
        times: 1,
        at_most: 450,
    },
    Case {
        about: "with all opened ahead",
        program: "cycle",
        arguments: &["10"],
        cycles: 200_000,
        times: 1,
        at_most: 450,
    },
    // 505 were counted, against 438 for a thread's `get`.
    Case {
        about: "by the first poll of a task",
        program: "task",
        arguments: &[],
        cycles: 200_000,
        times: 1,
        at_most: 520,
    },
    Case {
        about: "by 20 threads on 10 connections",
        program: "cycle",
        arguments: &["10", "20"],
        cycles: 20_000,
        times: 4,
        at_most: 4_400,
    },
];

pub(crate) fn run() -> Result<()> {
    if let Some(reason) = missing() {
        println!("skipped: {reason}");
        return Ok(());
    }
    process::run(&mut cargo(["build", "--release", "--package", "cycle"]))?;
    let folder = workspace::target().join("release");
    let mut over = Vec::new();
    for case @ Case { about, times, at_most, .. } in CASES {
        let counts: Vec<u64> = (0..*times).map(|_| case.count(&folder)).collect::<Result<_>>()?;
        let each = counts.into_iter().min().context("a case that is not counted")?;
        println!("get + drop {about}: {each} instructions, at most {at_most}");
        if each > *at_most {
            over.push(format!("{each} instead of {at_most} {about}"));
        }
    }
    if !over.is_empty() {
        bail!("a cycle takes too many instructions: {}", over.join(", "));
    }
    Ok(())
}

impl Case {
    /// The instructions of one cycle. With this many cycles it does not matter how often the program polls until its pool is ready.
    fn count(&self, folder: &Path) -> Result<u64> {
        let [few, many] =
            [1_000, 1_000 + self.cycles].map(|cycles| count(&folder.join(self.program), cycles, self.arguments));
        Ok(many?.saturating_sub(few?) / self.cycles)
    }
}

/// The reason if nothing can be counted here.
pub(crate) fn missing() -> Option<&'static str> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Some("the bounds are those of Linux on x86-64");
    }
    let there = process::succeeds(Command::new("valgrind").arg("--version"));
    (!there).then_some("valgrind is not installed (Debian: apt-get install valgrind)")
}

/// The instructions of the whole program; everything outside the cycles cancels out in the difference.
fn count(program: &Path, cycles: u64, arguments: &[&str]) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(program).arg(cycles.to_string()).args(arguments);
    let output = command.stdin(Stdio::null()).output().context("cannot start valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    collected(&said).with_context(|| format!("valgrind printed no count: {said}"))
}

fn collected(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read() {
        assert_eq!(collected("==1== Events    : Ir\n==1== Collected : 123456\n"), Some(123_456));
        assert_eq!(collected("==1== nothing\n"), None);
    }
}
