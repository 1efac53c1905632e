//! `cargo xtask tidy`: the rules for sources, documents and commits that no compiler checks.
//!
//! Each check is a function from the files to its findings, so its tests can pass it files with faults. This file runs all checks; they are
//! in the modules below.

mod code;
mod commits;
mod documents;
mod examples;
mod imports;
mod named;
mod pages;
mod primitives;
mod rows;
mod style;
mod text;
mod words;

use crate::workspace;
use crate::workspace::File;
use anyhow::{Result, bail};

/// One fault: its place, and what is wrong there.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    path: String,
    /// Counted from 1; 0 for the whole file.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.into(), line, what: what.into() }
    }

    fn whole(path: &str, what: impl Into<String>) -> Self {
        Self::new(path, 0, what)
    }
}

type Check = fn(&[File]) -> Vec<Finding>;

const CHECKS: &[Check] = &[
    text::heads,
    text::lengths,
    text::widths,
    text::whitespace,
    text::foreign_names,
    text::addresses,
    style::imports,
    style::modules,
    words::banned,
    imports::one_way,
    primitives::through_sync,
    named::exist,
    documents::changelog,
    documents::readme,
    documents::oldest_rust,
    documents::errors,
    examples::compiled,
    pages::readme,
    pages::links,
    pages::crate_pages,
    |files| documents::promises(files, &documents::table(files)),
];

pub(crate) fn run() -> Result<()> {
    let files = workspace::files()?;
    text::long(&files).iter().for_each(|finding| print("warning", finding));
    let mut findings: Vec<_> = CHECKS.iter().flat_map(|check| check(&files)).collect();
    match commits::since(commits::RULE, &workspace::root()) {
        Ok(commits) => {
            findings.extend(commits::subjects(&commits));
            println!("checked the subjects of {} commits", commits.len());
        }
        Err(reason) => println!("the subjects of commits were not checked: {reason}"),
    }
    findings.iter().for_each(|finding| print("error", finding));
    if !findings.is_empty() {
        bail!("tidy found {} faults", findings.len());
    }
    println!("{} files are tidy", files.len());
    Ok(())
}

fn print(kind: &str, Finding { path, line, what }: &Finding) {
    let line = if *line > 0 { format!(":{line}") } else { String::new() };
    println!("{kind}: {path}{line}: {what}");
}

/// A file for the tests of the checks.
#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File { path: path.into(), text: text.into() }
}
