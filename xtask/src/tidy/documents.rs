//! Compares README, CHANGELOG, the guides and the hosted workflow with the repository: the commands, the crates, the errors, the tests of
//! the promises.

use super::{Finding, code};
use crate::workspace;
use crate::workspace::{File, Package};

const README: &str = "README.md";
const CHANGELOG: &str = "CHANGELOG.md";
const WORKFLOW: &str = ".github/workflows/ci.yml";

const PROMISES: &str = "docs/promises.md";
const OPERATING: &str = "docs/operating.md";
/// The files with the errors that users of a pool get, and with the causes and reports in their texts.
const ERRORS: &[&str] = &[
    "pool/src/error.rs",
    "pool/src/transact/error.rs",
    "pool/src/cause.rs",
    "pool/src/checkout/look.rs",
    "pool/src/closing.rs",
    "pool/src/driver_calls.rs",
    "pool/src/report.rs",
    "pool/src/shared/call.rs",
    "pool/src/shared/session.rs",
    "pool/src/state/young.rs",
];
/// The code before a text that no error has.
const NO_ERRORS: &[&str] = &["must_use =", "message =", "label =", "note =", "expect("];

/// The commands that README must name.
const COMMANDS: &[&str] = &["cargo run", "cargo xtask test --setup"];

/// Not published yet, but the oldest Rust in their manifests is already a promise.
const PUBLISHED_LATER: &[&str] = &["cabrank-testing"];

/// The changelog has a section for unreleased changes, or one for the version in the manifests.
pub(super) fn changelog(files: &[File]) -> Vec<Finding> {
    let version = workspace::version(text(files, "Cargo.toml")).unwrap_or("?");
    let headings = ["## [Unreleased]".to_owned(), format!("## [{version}]")];
    if text(files, CHANGELOG).lines().any(|line| headings.iter().any(|heading| line.starts_with(heading))) {
        return Vec::new();
    }
    vec![Finding::whole(CHANGELOG, format!("has neither `{}` nor `{}`", headings[0], headings[1]))]
}

/// README names the commands and every published crate.
pub(super) fn readme(files: &[File]) -> Vec<Finding> {
    let readme = text(files, README);
    let commands = COMMANDS.iter().map(|command| (*command).to_owned());
    let crates = packages(files).filter(|(package, _)| package.published).map(|(package, _)| package.name);
    let missing = commands.chain(crates).filter(|name| !mentions(readme, name));
    missing.map(|name| Finding::whole(README, format!("does not mention `{name}`"))).collect()
}

/// The hosted workflow builds each published crate, and each that will be, with the oldest Rust that its manifest promises.
pub(super) fn oldest_rust(files: &[File]) -> Vec<Finding> {
    let workflow = text(files, WORKFLOW);
    let promise = |package: &Package| package.published || PUBLISHED_LATER.contains(&&*package.name);
    let rows = packages(files).filter(|(package, _)| promise(package)).map(|(package, manifest)| {
        let rust = workspace::rust_version(manifest, text(files, "Cargo.toml")).unwrap_or("?");
        format!("- {{ crate: {}, rust: \"{rust}\" }}", package.name)
    });
    let missing = rows.filter(|row| !workflow.lines().any(|line| line.trim() == row));
    missing.map(|row| Finding::whole(WORKFLOW, format!("must build with the oldest Rust: `{row}`"))).collect()
}

/// The guide for operators explains each error by the beginning of its text.
pub(super) fn errors(files: &[File]) -> Vec<Finding> {
    let guide = spans(text(files, OPERATING));
    let texts = ERRORS.iter().flat_map(|path| phrases(text(files, path)).into_iter().map(move |text| (path, text)));
    let missing = texts.filter(|(_, text)| !guide.iter().any(|span| span.contains(text)));
    missing.map(|(path, text)| Finding::whole(OPERATING, format!("does not explain `{text}` of {path}"))).collect()
}

/// What identifies each error text of a file: its first words, up to a value, a colon or a bracket. A single word is no text.
fn phrases(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let literals = code::texts(source).into_iter();
    let texts = literals.filter(|(before, _)| !NO_ERRORS.iter().any(|other| before.trim_end().ends_with(other)));
    let phrase = |text: &str| {
        let fixed = text.split('{').map(|part| part.rsplit('}').next().unwrap_or_default());
        let mut words =
            fixed.flat_map(|part| part.split([':', '(', ')'])).map(|part| part.trim_matches([' ', ';', ',', '.']));
        words.find(|words| words.contains(char::is_alphabetic)).map(str::to_owned)
    };
    texts.filter(|(_, text)| text.trim().contains(' ')).filter_map(|(_, text)| phrase(&text)).collect()
}

/// The code spans of a page. A span between double backticks may contain single ones.
fn spans(page: &str) -> Vec<&str> {
    let (mut spans, mut rest) = (Vec::new(), page);
    while let Some(at) = rest.find('`') {
        let ticks = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let (fence, inside) = rest[at..].split_at(ticks);
        let is_end =
            |&(end, _): &(usize, &str)| !inside[..end].ends_with('`') && !inside[end + ticks..].starts_with('`');
        let Some((end, _)) = inside.match_indices(fence).find(is_end) else { return spans };
        spans.push(inside[..end].trim());
        rest = &inside[end + ticks..];
    }
    spans
}

/// Each package, with its manifest.
fn packages(files: &[File]) -> impl Iterator<Item = (Package, &str)> {
    let manifests = files.iter().filter(|file| file.path.ends_with("Cargo.toml"));
    let packages = manifests.map(|file| (workspace::package(&file.text), &*file.text));
    packages.filter(|(package, _)| !package.name.is_empty())
}

/// One row of the table of promises: its line, its number, and its tests.
pub(super) struct Promise {
    line: usize,
    number: usize,
    tests: Vec<String>,
}

/// The rows of docs/promises.md whose first cell is a number. The last cell has the tests, in backticks.
pub(super) fn table(files: &[File]) -> Vec<Promise> {
    let rows = text(files, PROMISES).lines().enumerate().filter(|(_, line)| line.starts_with('|'));
    rows.filter_map(|(at, line)| {
        let mut cells = line.trim().trim_matches('|').split('|');
        let number = cells.next()?.trim().trim_end_matches('.').parse().ok()?;
        let tests = cells.next_back()?.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some(Promise { line: at + 1, number, tests })
    })
    .collect()
}

/// The promises are numbered from 1, and each names tests that exist.
pub(super) fn promises(files: &[File], table: &[Promise]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if table.is_empty() {
        findings.push(Finding::whole(PROMISES, "has no table of promises"));
    }
    let sources: Vec<_> = files.iter().filter(|file| file.is(&["rs"])).map(|file| (file, functions(file))).collect();
    for (row, promise) in table.iter().enumerate() {
        let mut complain = |what: String| findings.push(Finding::new(PROMISES, promise.line, what));
        if promise.number != row + 1 {
            complain(format!("promise {} stands in row {}", promise.number, row + 1));
        }
        if promise.tests.is_empty() {
            complain(format!("promise {} names no test", promise.number));
        }
        for test in &promise.tests {
            let (place, name) = test.rsplit_once("::").unwrap_or(("", test));
            if !sources
                .iter()
                .any(|(file, functions)| lies_in(&file.path, place) && functions.iter().any(|f| f == name))
            {
                complain(format!("the test `{test}` of promise {} does not exist", promise.number));
            }
        }
    }
    findings
}

fn text<'a>(files: &'a [File], path: &str) -> &'a str {
    files.iter().find(|file| file.path == path).map_or("", |file| &file.text)
}

/// Whether `name` occurs as more than a part of a longer name.
fn mentions(text: &str, name: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.match_indices(name).any(|(at, _)| !text[..at].ends_with(joins) && !text[at + name.len()..].starts_with(joins))
}

/// The names of the functions in a file, without comments and strings.
fn functions(file: &File) -> Vec<String> {
    let code = code::without_comments(&file.text);
    let starts = code.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
    starts.map(|name| name.trim().to_owned()).collect()
}

/// Whether `place` means this file: `waiters`, `it::waiters` and so on for `pool/tests/it/waiters.rs`.
fn lies_in(path: &str, place: &str) -> bool {
    let parts: Vec<_> = path.trim_end_matches(".rs").split('/').collect();
    // Inline modules have no files, so one matching name is enough.
    place.is_empty() || place.split("::").any(|name| parts.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_changelog_without_the_version_is_found() {
        let manifest = || file("Cargo.toml", "[workspace.package]\nversion = \"1.2.3\"\n");
        let complaints = |text: &str| changelog(&[manifest(), file(CHANGELOG, text)]).len();
        assert_eq!(complaints("# Changes\n## [Unreleased]\n"), 0);
        assert_eq!(complaints("## [1.2.3] - 2026-01-01\n"), 0);
        assert_eq!(complaints("## [1.2.2] - 2026-01-01\n"), 1);
        assert_eq!(changelog(&[manifest()]).len(), 1);
    }

    #[test]
    fn a_readme_that_leaves_out_a_command_or_a_crate_is_found() {
        let manifest = file("adapters/a/Cargo.toml", "[package]\nname = \"cab\"\n");
        let private = file("b/Cargo.toml", "[package]\nname = \"b\"\npublish = false\n");
        let complaints = |text: &str| {
            readme(&[file(README, text), file(&manifest.path, &manifest.text), file(&private.path, &private.text)])
                .len()
        };
        assert_eq!(complaints("`cab` cargo run cargo xtask test --setup"), 0);
        assert_eq!(complaints("`cab-x` cargo run cargo xtask test --setup"), 1);
        assert_eq!(complaints("`cab` cargo xtask test"), 2);
    }

    #[test]
    fn a_crate_that_is_not_built_with_its_oldest_rust_is_found() {
        let complaints = |workflow: &str| {
            let root = file("Cargo.toml", "[workspace.package]\nrust-version = \"1.85\"\n");
            let cab = file("pool/Cargo.toml", "[package]\nname = \"cab\"\nrust-version.workspace = true\n");
            let own = file("b/Cargo.toml", "[package]\nname = \"own\"\npublish = false\nrust-version = \"1.90\"\n");
            oldest_rust(&[root, cab, own, file(WORKFLOW, workflow)]).len()
        };
        assert_eq!(complaints("include:\n  - { crate: cab, rust: \"1.85\" }\n"), 0);
        assert_eq!(complaints("include:\n  - { crate: cab, rust: \"1.84\" }\n"), 1);
        assert_eq!(complaints(""), 1);
        let later = "[package]\nname = \"cabrank-testing\"\npublish = false\nrust-version = \"1.86\"\n";
        let found = oldest_rust(&[file("testkit/Cargo.toml", later), file(WORKFLOW, "")]);
        assert!(found[0].what.contains("crate: cabrank-testing, rust: \"1.86\""), "{found:?}");
    }

    #[test]
    fn an_error_that_the_guide_does_not_explain_is_found() {
        let source = "write!(f, \"no cab within {}: {}\") f.write_str(\n  \"all closed\"\n) const F: &str = \"forked (x): x\"; \
                      write!(f, \"{what}\") #[cfg(test)] write!(f, \"not this\")";
        let complaints = |guide: &str| errors(&[file(ERRORS[0], source), file(OPERATING, guide)]).len();
        assert_eq!(complaints("| `no cab within` .. | `all closed` | `forked` |"), 0);
        assert_eq!(complaints("| `no cab` | `all closed` | `forked` |"), 1);
        assert_eq!(complaints("no cab within, all closed, forked"), 3);
    }

    #[test]
    fn an_error_in_several_lines_or_with_a_value_first_is_read() {
        let texts = "write!(\n    f,\n    \"no cab \\\n     within {}\",\n    x\n) Cause::other(\"`on_x` said \\\"no\\\"\") \
                     write!(f, \"; {remark}, as of {} ago\") (count, \"stuck\") x => \"it was dead\" bug(\"a_bug\") \
                     x.expect(\"one is there\") // \"no text\"\n";
        assert_eq!(phrases(texts), ["no cab within", "`on_x` said \"no\"", "as of", "it was dead"]);
        let complaints = |guide: &str| errors(&[file(ERRORS[2], texts), file(OPERATING, guide)]).len();
        assert_eq!(complaints("`no cab within` `` `on_x` said \"no\" `` `X, as of N ago` `it was dead`"), 0);
        assert_eq!(complaints("`no cab within` `on_x said no` `X, as of N ago` `it was`"), 2);
    }

    #[test]
    fn a_promise_without_an_existing_test_is_found() {
        let complaints = |text: &str| {
            let files =
                [file(PROMISES, text), file("pool/tests/it/close.rs", "#[test]\nfn it_ends() {}\n// fn not_this()\n")];
            promises(&files, &table(&files)).len()
        };
        assert_eq!(
            complaints("| # | promise | tests |\n|---|---|---|\n| 1 | `get` | `close::it_ends`, `it_ends` |\n"),
            0
        );
        assert_eq!(complaints("| 1 | `get` | `open::it_ends` |\n"), 1);
        assert_eq!(complaints("| 1 | `get` | `not_this` |\n"), 1);
        assert_eq!(complaints("| 1 | `it_ends` | none |\n"), 1);
        assert_eq!(complaints("| 2 | `get` | `it_ends` |\n"), 1);
        assert_eq!(complaints("no table"), 1);
    }
}
