//! Files that comments name. A file that is renamed, or becomes a folder, leaves its old name in them.

use super::Finding;
use crate::workspace::File;

/// A file that a comment names in backticks is in the same package, or the name is its path from the root.
pub(super) fn exist(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is(&["rs"])) {
        let package = package(&file.path, files);
        let exists = |name: &str| {
            let in_package = |path: &str| path.strip_prefix(package).is_some_and(|path| ends_with(path, name));
            files.iter().any(|other| other.path == name || in_package(&other.path))
        };
        for (line, text) in file.text.lines().enumerate() {
            let comment = text.split_once("//").map_or("", |(_, comment)| comment);
            for name in comment.split('`').filter(|name| is_source(name) && !exists(name)) {
                let what = format!("names `{name}`, which this package has not: give its path from the root");
                findings.push(Finding::new(&file.path, line + 1, what));
            }
        }
    }
    findings
}

/// The folder of the package that contains this path, with a slash; empty at the root.
fn package<'a>(path: &str, files: &'a [File]) -> &'a str {
    let folders = files.iter().filter_map(|file| file.path.strip_suffix("Cargo.toml"));
    folders.filter(|folder| path.starts_with(folder)).max_by_key(|folder| folder.len()).unwrap_or_default()
}

fn is_source(name: &str) -> bool {
    let is_path = |c: char| c.is_alphanumeric() || "_-/.".contains(c);
    name.strip_suffix(".rs").is_some_and(|stem| !stem.is_empty() && stem.chars().all(is_path))
}

/// Whether the path ends with these parts, and not within one.
fn ends_with(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_name_of_a_file_that_is_not_in_the_package_is_found() {
        let findings = |comment: &str| {
            exist(&[
                file("Cargo.toml", ""),
                file("one/Cargo.toml", ""),
                file("one/src/a.rs", &format!("mod b;\n{comment}\n")),
                file("one/src/b/mod.rs", ""),
                file("one/src/b/sub.rs", ""),
                file("other/Cargo.toml", ""),
                file("other/src/c.rs", ""),
            ])
        };
        for name in ["b.rs", "c.rs", "ub.rs", "src/c.rs", "other/c.rs", "../a.rs"] {
            for comment in [format!("//! See `{name}`."), format!("x(); // In `x`, as in `{name}`.")] {
                let found = findings(&comment);
                assert_eq!((found.len(), found[0].path.as_str(), found[0].line), (1, "one/src/a.rs", 2), "{name}");
            }
        }
        for name in ["a.rs", "sub.rs", "b/sub.rs", "b/mod.rs", "b/", "src/b/sub.rs", "other/src/c.rs", "*.rs", ".rs"] {
            assert_eq!(findings(&format!("/// See `{name}`.")), [], "{name}");
        }
        assert_eq!(findings("let name = \"`c.rs`\";"), []);
    }
}
