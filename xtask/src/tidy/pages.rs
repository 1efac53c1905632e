//! Checks the documents as pages: the size of the README, and the links within the repository.

use super::Finding;
use crate::workspace;
use crate::workspace::File;
use std::path::{Component, Path, PathBuf};

/// README is one page, limited in length and in width. In a table each cell may have the full width.
const LINES: usize = 130;
const WIDTH: usize = 120;

pub(super) fn readme(files: &[File]) -> Vec<Finding> {
    let Some(file) = files.iter().find(|file| file.path == "README.md") else { return Vec::new() };
    let mut findings = Vec::new();
    let lines = file.text.lines().count();
    if lines > LINES {
        findings.push(Finding::whole(&file.path, format!("has {lines} lines, more than {LINES}")));
    }
    for (number, line) in file.text.lines().enumerate() {
        let parts: Vec<_> = if line.starts_with('|') { line.split('|').collect() } else { vec![line] };
        if parts.iter().any(|part| part.trim().chars().count() > WIDTH) {
            findings.push(Finding::new(&file.path, number + 1, format!("is wider than {WIDTH} characters")));
        }
    }
    findings
}

/// A link within the repository leads to a file, or to the folder of one.
pub(super) fn links(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is(&["md"])) {
        let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
        for (number, line) in file.text.lines().enumerate() {
            for target in targets(line) {
                let path = plain(&folder.join(target));
                // Pictures are no texts.
                let is_text = files.iter().any(|there| Path::new(&there.path).starts_with(&path));
                if !is_text && !workspace::root().join(&path).exists() {
                    findings.push(Finding::new(
                        &file.path,
                        number + 1,
                        format!("links to {target}, which is not there"),
                    ));
                }
            }
        }
    }
    findings
}

/// What the links of a line lead to, those to other sites and to items of code left out.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let links = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    links.filter(|target| {
        !target.is_empty() && !target.contains("::") && !target.contains("//") && target.contains(['.', '/'])
    })
}

/// Without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    #[test]
    fn a_readme_that_is_too_long_or_too_wide_is_found() {
        let complaints = |text: &str| readme(&[file("README.md", text)]).len();
        assert_eq!(complaints(&"a line\n".repeat(130)), 0);
        assert_eq!(complaints(&"a line\n".repeat(131)), 1);
        assert_eq!(complaints(&"x".repeat(120)), 0);
        assert_eq!(complaints(&"x".repeat(121)), 1);
        assert_eq!(complaints(&format!("| {} | {} |", "x".repeat(120), "y".repeat(120))), 0);
        assert_eq!(complaints(&format!("| {} | y |", "x".repeat(121))), 1);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let complaints = |text: &str| {
            let there = [file("docs/guide.md", text), file("docs/picture.svg", ""), file("adapters/a/src/lib.rs", "")];
            links(&there).len()
        };
        assert_eq!(complaints("[a](picture.svg) [b](../adapters/a/src/lib.rs#head) [c](../adapters/a) [d](#head)"), 0);
        assert_eq!(complaints("[a](https://example.invalid/x.md) [`get`](crate::Pool::get) [s](self)"), 0);
        assert_eq!(complaints("[a](missing.svg) and [b](../adapters/b/README.md)"), 2);
    }
}
