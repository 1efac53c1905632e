//! `cargo xtask instructions`: how many instructions one `get` and one drop cost when nobody contends. Unlike the time
//! they take, that is the same on a busy machine, so a step backwards shows in CI.
//!
//! Counted by valgrind, as the difference between two runs of `xtask/cycle` that differ in nothing but the number
//! of cycles. Where there is no valgrind, nothing is counted, and that is said.

use crate::process::cargo;
use crate::{process, workspace};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// What a cycle may cost, with nothing opened ahead (`min_idle` 0) and with all (`min_idle` = `max_size`). A little more
/// than it does cost, since compilers differ. Lower it when you have made the cycle shorter.
const AT_MOST: [(&str, u64); 2] = [("0", 700), ("10", 700)];

pub(crate) fn run() -> Result<()> {
    if let Some(reason) = missing() {
        println!("skipped: {reason}");
        return Ok(());
    }
    process::run(&mut cargo(["build", "--release", "--package", "cycle"]))?;
    let program = workspace::target().join("release/cycle");
    let mut over = Vec::new();
    for (min_idle, at_most) in AT_MOST {
        // So many that it does not matter how often the program looks whether its pool is ready.
        let [few, many] = [1_000, 201_000].map(|cycles| count(&program, cycles, min_idle));
        let each = (many? - few?) / 200_000;
        println!("get + drop with min_idle {min_idle}: {each} instructions, at most {at_most}");
        if each > at_most {
            over.push(format!("{each} instead of {at_most} with min_idle {min_idle}"));
        }
    }
    if !over.is_empty() {
        bail!("a cycle takes more instructions than it may: {}", over.join(", "));
    }
    Ok(())
}

/// Why nothing can be counted here, if so.
pub(crate) fn missing() -> Option<&'static str> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Some("the bounds are those of Linux on x86-64");
    }
    let there = process::succeeds(Command::new("valgrind").arg("--version"));
    (!there).then_some("valgrind is not installed (Debian: apt-get install valgrind)")
}

/// Of the whole program; what is not part of the cycle falls out of the difference.
fn count(program: &Path, cycles: u32, min_idle: &str) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(program).arg(cycles.to_string()).arg(min_idle);
    let output = command.stdin(Stdio::null()).output().context("cannot start valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    collected(&said).with_context(|| format!("valgrind tells no count: {said}"))
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
