//! The file `.env`, which compose.yaml and the tests read: the stand-ins to use on this machine.
//!
//! Only the lines of this module change. Without a line, the official image is used.

use anyhow::{Context, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Sets each variable to its stand-in, or removes it where the official image is used (`None`).
pub(super) fn update(path: &Path, stand_ins: &[(&str, Option<String>)]) -> Result<()> {
    let before = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        read => read.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let after = edited(&before, stand_ins);
    if after.is_empty() && !before.is_empty() {
        fs::remove_file(path)?;
    } else if after != before {
        fs::write(path, &after).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn edited(text: &str, stand_ins: &[(&str, Option<String>)]) -> String {
    let ours =
        |line: &str| line.split_once('=').is_some_and(|(left, _)| stand_ins.iter().any(|(name, _)| *name == left));
    let mut lines: Vec<_> = text.lines().filter(|line| *line != HEAD && !ours(line)).map(str::to_owned).collect();
    lines.extend(stand_ins.iter().filter_map(|(variable, name)| Some(format!("{variable}={}", name.as_ref()?))));
    if lines.iter().any(|line| line.contains(super::build::PREFIX)) {
        lines.insert(0, HEAD.into());
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

const HEAD: &str =
    "# Written by `cargo xtask images`: the stand-ins that compose.yaml and the tests use on this machine.";

#[cfg(test)]
mod tests {
    use super::super::build::PREFIX;
    use super::*;

    #[test]
    fn stand_ins_are_written_and_removed() {
        let name = || Some(format!("{PREFIX}a:1"));
        let one = edited("", &[("A", name()), ("B", None)]);
        assert_eq!(one, format!("{HEAD}\nA={PREFIX}a:1\n"));
        assert_eq!(edited(&one, &[("A", name())]), one);
        assert_eq!(edited(&one, &[("A", None)]), "");
    }

    #[test]
    fn what_is_not_ours_stays() {
        let text = edited("X=1\nA=mine\n", &[("A", None), ("B", Some(format!("{PREFIX}b:1")))]);
        assert_eq!(text, format!("{HEAD}\nX=1\nB={PREFIX}b:1\n"));
        assert_eq!(edited("X=1\n", &[("A", None)]), "X=1\n");
    }
}
