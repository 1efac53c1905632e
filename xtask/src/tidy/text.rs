//! Checks files as text: heads, lengths, white space, and names that must not be in the repository.

use super::Finding;
use crate::workspace::File;

/// A longer file of a library is a warning, and beyond the second limit an error.
const LONG: usize = 300;
const TOO_LONG: usize = 400;

/// The largest width of a line of Rust in characters. It concerns comments and texts: rustfmt breaks code at 120.
const TOO_WIDE: usize = 140;

/// Places on one machine, and hosts of package registries. In pieces, so this file does not contain them itself.
const FOREIGN: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/far", "m/"),
    concat!("/ho", "me/"),
    concat!("crates", ".io"),
    concat!("docs", ".rs"),
    concat!("lib", ".rs/"),
];

/// The project has no address yet, so each one with its name is invented. The reversed form claims a domain as well. In pieces, as above.
const INVENTED: &[&str] = &[
    concat!("github.com/", "cabrank"),
    concat!("gitlab.com/", "cabrank"),
    concat!("codeberg.org/", "cabrank"),
    concat!("cabrank", ".com"),
    concat!("cabrank", ".dev"),
    concat!("cabrank", ".io"),
    concat!("cabrank", ".net"),
    concat!("cabrank", ".org"),
    concat!("com.", "cabrank"),
    concat!("dev.", "cabrank"),
    concat!("io.", "cabrank"),
    concat!("net.", "cabrank"),
    concat!("org.", "cabrank"),
];

/// The keys of a manifest whose values are addresses of the project.
const KEYS: &[&str] = &["repository", "homepage", "documentation"];

/// Written by cargo, with the address of the registry.
const NOT_OURS: &[&str] = &[
    "Cargo.lock",
    "adapters/r2d2/Cargo.lock",
    "bench/Cargo.lock",
    "drop-in/r2d2/Cargo.lock",
    "drop-in/r2d2/programs/rocket/Cargo.lock",
];

/// Every source file begins with its responsibility, in the file itself or in a README that it includes.
pub(super) fn heads(files: &[File]) -> Vec<Finding> {
    let says = |file: &File| file.text.starts_with("//!") || file.text.starts_with("#![doc = include_str!");
    let headless = files.iter().filter(|file| file.is(&["rs"]) && !says(file));
    headless.map(|file| Finding::new(&file.path, 1, "must begin with `//!` and its responsibility")).collect()
}

/// No file of a library is too long to read to the end.
pub(super) fn lengths(files: &[File]) -> Vec<Finding> {
    longer_than(TOO_LONG, files)
}

/// The files that approach that limit.
pub(super) fn long(files: &[File]) -> Vec<Finding> {
    longer_than(LONG, files)
}

/// No line is too wide for two files side by side.
pub(super) fn widths(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is(&["rs"])) {
        for (line, text) in file.text.lines().enumerate() {
            let width = text.chars().count();
            if width > TOO_WIDE {
                let what = format!("has {width} characters, more than {TOO_WIDE}");
                findings.push(Finding::new(&file.path, line + 1, what));
            }
        }
    }
    findings
}

pub(super) fn whitespace(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is(&["rs", "md", "toml", "yml", "yaml"])) {
        for (line, text) in file.text.split('\n').enumerate() {
            if text.ends_with([' ', '\t', '\r']) {
                findings.push(Finding::new(&file.path, line + 1, "white space at the end of the line"));
            }
        }
        if !file.text.ends_with('\n') || file.text.ends_with("\n\n") {
            findings.push(Finding::whole(&file.path, "must end with one newline"));
        }
    }
    findings
}

/// The repository's contents concern only the project, and are valid on every machine.
pub(super) fn foreign_names(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| !NOT_OURS.contains(&&*file.path)) {
        for (line, text) in file.text.lines().enumerate() {
            for name in FOREIGN.iter().filter(|name| text.contains(**name)) {
                findings.push(Finding::new(&file.path, line + 1, format!("`{name}` must not be here")));
            }
        }
    }
    findings
}

/// The project's own address exists, or is not mentioned. A database of that name on a server is no address of the project.
pub(super) fn addresses(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| !NOT_OURS.contains(&&*file.path)) {
        for (line, text) in file.text.lines().enumerate() {
            let links = ["http://", "https://"].iter().flat_map(|scheme| text.split(scheme).skip(1));
            let link =
                links.filter_map(|rest| rest.split([' ', '"', '>', ')']).next()).find(|it| it.contains("cabrank"));
            if let Some(address) = link.or_else(|| INVENTED.iter().copied().find(|address| names(text, address))) {
                findings.push(Finding::new(&file.path, line + 1, format!("`{address}` is an invented address")));
            }
            let key = text.split('=').next().unwrap_or_default().trim().trim_end_matches(".workspace");
            if file.path.ends_with("Cargo.toml") && KEYS.contains(&key) {
                findings.push(Finding::new(&file.path, line + 1, format!("`{key}`: the project has no address yet")));
            }
        }
    }
    findings
}

/// Whether an address occurs as more than the beginning or the end of a longer word.
fn names(text: &str, address: &str) -> bool {
    let alone = |at: usize| {
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        !text[..at].ends_with(joins) && !text[at + address.len()..].starts_with(joins)
    };
    text.match_indices(address).any(|(at, _)| alone(at))
}

fn longer_than(limit: usize, files: &[File]) -> Vec<Finding> {
    let library = |path: &str| {
        let adapter = path.strip_prefix("adapters/").and_then(|rest| rest.split_once('/'));
        path.starts_with("pool/src/") || adapter.is_some_and(|(_, rest)| rest.starts_with("src/"))
    };
    let lengths = files.iter().filter(|file| file.is(&["rs"]) && library(&file.path));
    lengths
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > limit)
        .map(|(file, lines)| Finding::whole(&file.path, format!("has {lines} lines, more than {limit}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_file_without_a_head_is_found() {
        assert_eq!(heads(&[file("a.rs", "//! Good.\n"), file("b.md", "x")]), []);
        assert_eq!(heads(&[file("a.rs", "\n//! Late.\n")]).len(), 1);
    }

    #[test]
    fn a_long_file_of_a_library_is_found() {
        let lines = |count: usize| "x\n".repeat(count);
        for path in ["pool/src/a.rs", "adapters/sqlite/src/b/a.rs"] {
            assert_eq!(lengths(&[file(path, &lines(TOO_LONG))]), []);
            assert_eq!(lengths(&[file(path, &lines(TOO_LONG + 1))]).len(), 1);
            assert_eq!(long(&[file(path, &lines(LONG + 1))]).len(), 1);
        }
        assert_eq!(lengths(&[file("pool/tests/it/a.rs", &lines(1000))]), []);
    }

    #[test]
    fn a_line_that_is_too_wide_is_found() {
        // In characters, not in bytes.
        let fine = "é".repeat(140);
        assert_eq!(widths(&[file("a.rs", &format!("{fine}\n")), file("a.md", &"x".repeat(200))]), []);
        let found = widths(&[file("a.rs", &format!("fine\n{fine}x\n"))]);
        assert_eq!((found.len(), found[0].line), (1, 2));
    }

    #[test]
    fn stray_white_space_is_found() {
        assert_eq!(whitespace(&[file("a.md", "a\n\nb\n"), file("a.sh", "a ")]), []);
        for text in ["a \n", "a\t\n", "a\r\n", "a", "a\n\n", ""] {
            assert_eq!(whitespace(&[file("a.toml", text)]).len(), 1, "{text:?}");
        }
    }

    #[test]
    fn a_name_from_elsewhere_is_found() {
        for name in FOREIGN {
            assert_eq!(foreign_names(&[file("a.md", &format!("x\nsee {name}x"))])[0].line, 2);
        }
        assert_eq!(foreign_names(&[file("Cargo.lock", FOREIGN[4]), file("a.md", "a crate's io, docsrs")]), []);
    }

    #[test]
    fn an_invented_address_is_found() {
        let complaints = |text: &str| addresses(&[file("a.md", text)]).len();
        for address in INVENTED {
            assert_eq!(complaints(&format!("see {address}/x, it is there")), 1, "{address}");
        }
        assert_eq!(complaints(concat!("[x](https:", "//example.org/cabrank/issues/1)")), 1);
        assert_eq!(addresses(&[file("a.toml", concat!("\nx = \"https:", "//cabrank.example\""))])[0].line, 2);
        assert_eq!(complaints(concat!("a label of Docker's: \"org", ".cabrank.tests\"")), 1);
        for key in KEYS {
            let found = |text: &str| addresses(&[file("pool/Cargo.toml", text)]).len();
            assert_eq!(found(&format!("[package]\n{key} = \"https://example.org/pool\"\n{key}.workspace = true\n")), 2);
            assert_eq!(found(&format!("# {key} = none\n{key}-x = 1\n")), 0);
        }
        for real in [
            "https://semver.org by cabrank",
            "mysql://root@127.0.0.1/cabrank",
            "cabrank.common",
            "cabrank.rs",
            "\"cabrank-tests\"",
        ] {
            assert_eq!(complaints(real), 0, "{real}");
        }
    }
}
