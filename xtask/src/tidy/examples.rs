//! The public items of the core whose documentation must have an example that is compiled with the tests.
//!
//! Relies on rustfmt: an `impl` and a type begin their lines, and a lone brace ends an `impl`.

use super::Finding;
use crate::workspace::File;

/// Methods of `Pool`.
const METHODS: &[&str] = &[
    "builder",
    "get",
    "try_get",
    "get_timeout",
    "run",
    "transaction",
    "get_async",
    "run_async",
    "resize",
    "evict_all",
    "close",
    "close_within",
    "close_async",
    "stats",
    "holders",
    "health",
    "downgrade",
];

const TYPES: &[&str] = &[
    "EventHandler",
    "GetError",
    "Limit",
    "Manager",
    "Transact",
    "Settings",
    "Health",
    "Canceller",
    "PooledConnection",
];

const SOURCES: &str = "pool/src/";

pub(super) fn compiled(files: &[File]) -> Vec<Finding> {
    let sources = || files.iter().filter(|file| file.path.starts_with(SOURCES) && file.is(&["rs"]));
    let methods = METHODS.iter().filter_map(|name| {
        let places = definitions(sources(), |text| method(text, name));
        fault(&format!("Pool::{name}"), &places, |line| calls(line, name))
    });
    let types = TYPES.iter().filter_map(|name| {
        fault(name, &definitions(sources(), |text| a_type(text, name)), |line| shows_type(line, name))
    });
    methods.chain(types).collect()
}

/// A definition: its file, the lines of that file, and the index of its own line.
type Place<'a> = (&'a File, Vec<&'a str>, usize);

fn definitions<'a>(files: impl Iterator<Item = &'a File>, find: impl Fn(&[&str]) -> Option<usize>) -> Vec<Place<'a>> {
    files
        .filter_map(|file| {
            let lines: Vec<_> = file.text.lines().collect();
            let at = find(&lines)?;
            Some((file, lines, at))
        })
        .collect()
}

fn fault(item: &str, places: &[Place<'_>], shows: impl Fn(&str) -> bool) -> Option<Finding> {
    let Some((file, _, at)) = places.first() else {
        let what = format!("there is no public `{item}`, which the list in xtask/src/tidy/examples.rs names");
        return Some(Finding::whole(SOURCES, what));
    };
    let has_example = places.iter().any(|(_, lines, at)| has_example(&lines[..*at], &shows));
    let what = || format!("the documentation of `{item}` has no example that is compiled and shows it");
    (!has_example).then(|| Finding::new(&file.path, at + 1, what()))
}

/// The line of a public method of `Pool`.
fn method(lines: &[&str], name: &str) -> Option<usize> {
    let mut within = false;
    lines.iter().position(|line| {
        if line.starts_with("impl") {
            let header = line.trim_end_matches(" {");
            within = header.ends_with(" Pool<M>") && !header.contains(" for ");
        } else if *line == "}" {
            within = false;
        }
        let public = line.trim_start().strip_prefix("pub ").map(|rest| rest.strip_prefix("async ").unwrap_or(rest));
        within && public.and_then(|rest| rest.strip_prefix("fn ")).is_some_and(|rest| is_named(rest, name))
    })
}

/// The line of a public type or trait.
fn a_type(lines: &[&str], name: &str) -> Option<usize> {
    let kinds = ["pub struct ", "pub enum ", "pub trait "];
    lines
        .iter()
        .position(|line| kinds.iter().any(|kind| line.strip_prefix(kind).is_some_and(|rest| is_named(rest, name))))
}

fn is_named(rest: &str, name: &str) -> bool {
    rest.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Whether the documentation that ends these lines, among attributes, has a block of Rust that is compiled, and in it a line that readers
/// see and that shows the item.
fn has_example(lines: &[&str], shows: impl Fn(&str) -> bool) -> bool {
    let ends_another_item =
        |line: &str| line.is_empty() || (!line.starts_with("//") && line.ends_with(['{', '}', ';']));
    let above = lines.iter().rev().map(|line| line.trim()).take_while(|line| !ends_another_item(line));
    let mut docs: Vec<_> = above.filter_map(|line| Some(line.strip_prefix("///")?.trim())).collect();
    docs.reverse();
    let mut block = None;
    docs.into_iter().any(|line| match (line.strip_prefix("```"), block) {
        (Some(info), None) => {
            block = Some(is_compiled(info));
            false
        }
        (Some(_), Some(_)) => {
            block = None;
            false
        }
        (None, is_compiled) => {
            let is_hidden = line == "#" || line.starts_with("# ") || line.starts_with("//");
            is_compiled == Some(true) && !is_hidden && shows(line)
        }
    })
}

/// Whether a line names the type, or calls the method that returns it and has its name.
fn shows_type(line: &str, name: &str) -> bool {
    words(line, name).next().is_some() || calls(line, &name.to_lowercase())
}

/// Whether a line calls the method: `.name(`, `::name(`, also with types between.
fn calls(line: &str, name: &str) -> bool {
    words(line, name)
        .any(|(before, after)| before.ends_with(['.', ':']) && (after.starts_with('(') || after.starts_with("::<")))
}

/// What is before and after each place of a whole word.
fn words<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    let places = line.match_indices(word).map(|(at, _)| (&line[..at], &line[at + word.len()..]));
    places.filter(move |(before, after)| !before.ends_with(joins) && !after.starts_with(joins))
}

/// Whether rustdoc compiles a block with these words behind its fence, and expects that to succeed.
fn is_compiled(info: &str) -> bool {
    let rust = |word: &str| ["rust", "no_run", "should_panic"].contains(&word) || word.starts_with("edition");
    info.split([',', ' ']).filter(|word| !word.is_empty()).all(rust)
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    /// All of the list, each item behind `docs`, in which `NAME()` stands for its use.
    fn core(docs: &str) -> String {
        let item = |name: &str, shown: &str, code: &str| {
            format!("{}{}\n", docs.replace("NAME()", shown), code.replace("NAME", name))
        };
        let types = TYPES.iter().map(|name| item(name, name, "#[derive(Debug)]\npub struct NAME<M>(M);\n"));
        let methods = METHODS
            .iter()
            .map(|name| item(name, &format!("pool.{name}()"), "    #[inline]\n    pub fn NAME(&self) {}\n"));
        let (types, methods): (String, String) = (types.collect(), methods.collect());
        format!("{types}impl<M: Manager> Pool<M> {{\n{methods}}}\n")
    }

    fn complaints(text: &str) -> Vec<Finding> {
        compiled(&[file("pool/src/pool.rs", text)])
    }

    #[test]
    fn a_compiled_example_is_enough() {
        for info in ["", "rust", "no_run", "rust,no_run", "edition2024", "should_panic"] {
            assert_eq!(
                complaints(&core(&format!("/// What.\n///\n/// ```{info}\n/// NAME();\n/// ```\n"))),
                [],
                "{info}"
            );
        }
        assert_eq!(complaints(&core("/// ```text\n/// x\n/// ```\n/// ```\n/// NAME();\n/// ```\n")), []);
    }

    #[test]
    fn an_item_without_a_compiled_example_is_found() {
        let all = METHODS.len() + TYPES.len();
        assert_eq!(complaints(&core("/// What.\n")).len(), all);
        for info in ["text", "ignore", "rust,ignore", "compile_fail", "sh"] {
            assert_eq!(complaints(&core(&format!("/// ```{info}\n/// NAME();\n/// ```\n"))).len(), all, "{info}");
        }
        let found = complaints(&core("/// ```\n/// NAME();\n/// ```\n").replacen("/// ```\n", "", 2));
        assert_eq!(
            found,
            [Finding::new(
                "pool/src/pool.rs",
                3,
                "the documentation of `EventHandler` has no example that is compiled and shows it"
            )]
        );
    }

    #[test]
    fn an_example_that_does_not_show_its_item_is_found() {
        let all = METHODS.len() + TYPES.len();
        for line in ["", "/// # NAME();\n", "/// #\n", "/// x();\n", "/// // NAME();\n"] {
            assert_eq!(complaints(&core(&format!("/// ```\n{line}/// ```\n/// NAME();\n"))).len(), all, "{line}");
        }
        assert_eq!(complaints(&core("/// ```\n/// # x();\n/// let x = NAME();\n/// ```\n")), []);
        assert!(calls("let run = pool.run::<_, E>(f)", "run") && calls("Pool::builder()", "builder"));
        assert!(shows_type("let x = conn.canceller();", "Canceller") && !shows_type("let canceller = x;", "Canceller"));
        assert!(!calls("pool.run_async(f)", "run") && !calls("run(f)", "run") && !calls("pool.run;", "run"));
    }

    #[test]
    fn an_example_of_the_item_before_does_not_count() {
        let text = core("").replacen("pub struct", "/// ```\n/// Other();\n/// ```\npub struct Other;\npub struct", 1);
        assert_eq!(complaints(&text).len(), METHODS.len() + TYPES.len());
    }

    #[test]
    fn an_item_that_is_no_public_one_of_the_pool_is_missing() {
        let good = core("/// ```\n/// NAME();\n/// ```\n");
        let missing = |text: &str| complaints(text).into_iter().map(|finding| finding.what).collect::<Vec<_>>();
        for (old, new) in [
            ("pub fn close(", "pub fn shut("),
            ("pub fn close(", "pub(crate) fn close("),
            ("pub fn close(", "fn close("),
        ] {
            let found = missing(&good.replace(old, new));
            assert_eq!(found.len(), 1);
            assert!(found[0].starts_with("there is no public `Pool::close`"), "{found:?}");
        }
        assert!(missing(&good.replace("struct Limit<", "struct Limits<"))[0].starts_with("there is no public `Limit`"));
        assert_eq!(missing(&good.replace("> Pool<M>", "> WeakPool<M>")).len(), METHODS.len());
        assert_eq!(missing(&good.replace("> Pool<M>", "> Clone for Pool<M>")).len(), METHODS.len());
    }
}
