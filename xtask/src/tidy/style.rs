//! The style of imports and of modules: each import names one module, imports are one block, and a folder's own file is its `mod.rs`.
//!
//! `imports.rs` checks which module may import which.

use super::{Finding, code};
use crate::workspace::File;
use std::collections::BTreeSet;

/// One module a line, no braces within braces, no blank line within a block. Re-exports (`pub use`) may be a separate block. The rule also
/// applies in functions and tests.
pub(super) fn imports(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is(&["rs"])) {
        for run in runs(&file.text) {
            let complaints = run.iter().filter_map(|import| Some((import.line, import.fault()?)));
            let complaints = complaints.chain(divided(&run)).chain(repeated(&run));
            findings.extend(complaints.map(|(line, what)| Finding::new(&file.path, line, what)));
        }
    }
    findings
}

/// A folder's own file is its `mod.rs`, not a file beside the folder. Clippy checks this only in the workspace's own crates.
pub(super) fn modules(files: &[File]) -> Vec<Finding> {
    let sources = || files.iter().filter(|file| file.is(&["rs"]));
    let folders: BTreeSet<_> = sources().filter_map(|file| Some(file.path.rsplit_once('/')?.0)).collect();
    let own_files = sources().filter_map(|file| Some((file, file.path.strip_suffix(".rs")?)));
    own_files
        .filter(|(_, folder)| folders.contains(folder))
        .map(|(file, folder)| Finding::whole(&file.path, format!("must be {folder}/mod.rs, the folder's own file")))
        .collect()
}

/// One `use` of a block.
struct Import {
    line: usize,
    /// `pub`, `pub(crate)` and so on; empty for a plain import.
    visibility: String,
    /// The attributes before it.
    attributes: String,
    /// Without white space: `std::sync::{Arc,Mutex}`.
    path: String,
    after_blank_line: bool,
}

impl Import {
    fn fault(&self) -> Option<&'static str> {
        let (_, group) = self.path.split_once('{')?;
        if group.contains('{') {
            Some("braces within braces: each import names one module")
        } else if group.contains("::") {
            Some("a path within braces: each import names one module")
        } else if group.trim_end_matches('}').split(',').any(|name| name == "self" || name.starts_with("selfas")) {
            Some("`self` within braces: a module is imported by a line of its own")
        } else {
            None
        }
    }

    fn reexport(&self) -> bool {
        !self.visibility.is_empty()
    }

    /// The module whose items it names; `None` if it names all of them.
    fn module(&self) -> Option<&str> {
        match self.path.split_once('{') {
            Some((module, _)) => Some(module),
            None if self.path.ends_with('*') => None,
            None => Some(&self.path[..self.path.rfind("::").map_or(0, |at| at + 2)]),
        }
    }
}

/// Finds a blank line before an import of a kind that the run already has.
fn divided(run: &[Import]) -> Vec<(usize, &'static str)> {
    let again = |at: usize| run[..at].iter().any(|earlier| earlier.reexport() == run[at].reexport());
    let divided = (1..run.len()).filter(|at| run[*at].after_blank_line && again(*at));
    divided.map(|at| (run[at].line, "a blank line divides the imports, which must be one block")).collect()
}

/// Finds two lines with items of one module. Lines with different attributes cannot be joined, and the import of a module itself stays
/// separate from imports out of it: rustfmt does not join those, either.
fn repeated(run: &[Import]) -> Vec<(usize, &'static str)> {
    let imported_from = |path: &str| {
        let inside = format!("{path}::");
        run.iter().any(|import| import.path.starts_with(&inside))
    };
    let mut seen = BTreeSet::new();
    let again = run.iter().filter(|import| !imported_from(&import.path)).filter(|import| {
        let module = import.module();
        module.is_some_and(|module| !seen.insert((&import.visibility, &import.attributes, module)))
    });
    again.map(|import| (import.line, "imports of one module must be one line")).collect()
}

/// The imports, grouped into runs with only blank lines, comments and attributes between them. Relies on rustfmt, which begins a line with
/// each import.
fn runs(source: &str) -> Vec<Vec<Import>> {
    let code = code::without_comments(source);
    let mut runs = vec![Vec::new()];
    let (mut attributes, mut blank) = (String::new(), false);
    let mut lines = code.lines().zip(source.lines()).enumerate();
    while let Some((at, (text, written))) = lines.next() {
        let text = text.trim();
        if text.is_empty() {
            // In a line with only a comment, just the code is blank.
            blank |= written.trim().is_empty();
        } else if text.starts_with("#[") {
            attributes.push_str(text);
        } else if let Some((visibility, path)) = import(text) {
            let mut path = path.to_owned();
            while !path.contains(';') {
                let Some((_, (more, _))) = lines.next() else { break };
                path.push_str(more);
            }
            let path = path.split(';').next().unwrap_or_default();
            runs.last_mut().expect("there is always a run").push(Import {
                line: at + 1,
                visibility: visibility.into(),
                attributes: std::mem::take(&mut attributes),
                path: path.split_whitespace().collect::<String>().replace(",}", "}"),
                after_blank_line: std::mem::take(&mut blank),
            });
        } else {
            runs.push(Vec::new());
            (attributes, blank) = (String::new(), false);
        }
    }
    runs
}

/// The visibility and the path, if an import begins here.
fn import(text: &str) -> Option<(&str, &str)> {
    let (visibility, rest) = match text.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => text.split_at("pub".len() + rest.find(')')? + 1),
        Some(_) => text.split_at("pub".len()),
        None => ("", text),
    };
    Some((visibility, rest.trim_start().strip_prefix("use ")?))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn complaints(text: &str) -> Vec<(usize, String)> {
        imports(&[file("a.rs", text)]).into_iter().map(|finding| (finding.line, finding.what)).collect()
    }

    fn count(text: &str) -> usize {
        complaints(text).len()
    }

    #[test]
    fn one_module_a_line_in_one_block_is_the_style() {
        for text in [
            "use a::b::{C, D};\nuse a::e;\nuse a::e::F;\nuse a::g;\nuse std::{fs, io};\n\nfn f() {}\n",
            "mod x;\n\npub use a::B;\npub use {c, d};\n\nuse a::E;\nuse super::*;\n",
            "use a::{\n    B,\n    C,\n};\n#[cfg(unix)]\nuse a::D;\n",
            "pub use a::B;\n/// What it is.\npub use b::C;\n",
            "use a::B;\n\nmod x;\n\nuse a::C;\n",
            "// use a::{b::C};\nfn f() -> impl Sized + use<'static> {}\n",
            "use a::prelude::*;\nuse a::prelude::B;\n",
        ] {
            assert_eq!(complaints(text), [], "{text}");
        }
    }

    #[test]
    fn an_import_of_several_modules_is_found() {
        assert_eq!(complaints("use a;\nuse b::{c, d::{E, F}};\n")[0].0, 2);
        assert_eq!(count("use a::{b, c::D};\n"), 1);
        assert_eq!(count("pub use a::{\n    self,\n    B,\n};\n"), 1);
        assert_eq!(count("fn f() {\n    use a::{b, c::D};\n}\n"), 1);
        assert_eq!(count("#[cfg(test)]\nmod tests {\n    use super::{self as x, Y};\n}\n"), 1);
    }

    #[test]
    fn a_module_that_two_lines_import_from_is_found() {
        assert_eq!(complaints("use a::B;\nuse a::{C, D};\n")[0].0, 2);
        assert_eq!(count("use a::B;\npub use a::C;\n"), 0);
        assert_eq!(count("use a;\nuse b;\n"), 1);
    }

    #[test]
    fn a_blank_line_between_imports_is_found() {
        assert_eq!(complaints("use a::B;\n\nuse b::C;\n")[0].0, 3);
        assert_eq!(count("pub use a::B;\n\npub(crate) use b::C;\n"), 1);
        assert_eq!(count("use a::B;\n\npub use b::C;\n\nuse c::D;\n"), 1);
        assert_eq!(count("use a::B;\n\n// Why.\n#[cfg(unix)]\nuse b::C;\n"), 1);
        assert_eq!(count("mod x {\n    use a::B;\n\n    use b::C;\n}\n"), 1);
    }

    #[test]
    fn a_file_beside_its_folder_is_found() {
        let folder = || file("bench/src/cases/growth.rs", "");
        assert_eq!(modules(&[file("bench/src/cases/mod.rs", ""), folder(), file("bench/src/case.rs", "")]), []);
        assert_eq!(modules(&[file("bench/src/cases.rs", ""), folder()])[0].path, "bench/src/cases.rs");
        assert_eq!(modules(&[file("a/b.rs", ""), file("a/b/c.md", "")]), []);
    }
}
