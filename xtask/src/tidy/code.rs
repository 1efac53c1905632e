//! A rough reader of Rust: blanks out comments, strings and test items, and finds the paths that remain.
//!
//! Line numbers stay, for the findings. It is no parser, and is only good enough for the sources of this workspace.

/// A path such as `std::sync::Mutex`, and its line.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) line: usize,
    pub(super) path: String,
}

/// The source with comments, strings and items behind `#[cfg(test)]` blanked out.
pub(super) fn shipped(source: &str) -> String {
    without_test_items(without_comments(source))
}

/// The source with comments and the insides of strings blanked out.
pub(super) fn without_comments(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    for (kind, piece) in pieces(source) {
        match kind {
            Kind::Code => out.push_str(piece),
            Kind::Comment | Kind::Literal => blank(piece, &mut out),
        }
    }
    out
}

/// The string literals, each with the code before it, as the program has them: without quotes, escaped quotes and broken lines.
pub(super) fn texts(source: &str) -> Vec<(String, String)> {
    let (mut texts, mut before) = (Vec::new(), String::new());
    for (kind, piece) in pieces(source) {
        match kind {
            Kind::Code => before.push_str(piece),
            Kind::Comment => {}
            Kind::Literal => {
                let inside = piece.trim_start_matches(['r', '#']).trim_end_matches('#');
                let inside = inside.get(1..inside.len() - 1).unwrap_or_default();
                let mut lines = inside.split("\\\n");
                let mut text = lines.next().unwrap_or_default().to_owned();
                text.extend(lines.map(str::trim_start));
                texts.push((std::mem::take(&mut before), text.replace("\\\"", "\"")));
            }
        }
    }
    texts
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    /// A string or a character.
    Literal,
}

fn pieces(source: &str) -> Vec<(Kind, &str)> {
    let mut rest = source;
    let (mut pieces, mut last) = (Vec::new(), ' ');
    while let Some(first) = rest.chars().next() {
        let after_name = last.is_alphanumeric() || last == '_';
        let (len, kind) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), Kind::Comment),
            '/' if rest.starts_with("/*") => (block_comment(rest), Kind::Comment),
            '"' => (string(rest), Kind::Literal),
            'r' if !after_name && raw_hashes(rest).is_some() => (raw_string(rest), Kind::Literal),
            '\'' => match char_literal(rest) {
                Some(len) => (len, Kind::Literal),
                None => (1, Kind::Code),
            },
            _ => (first.len_utf8(), Kind::Code),
        };
        let (piece, left) = rest.split_at(len);
        last = if kind == Kind::Code { first } else { ' ' };
        pieces.push((kind, piece));
        rest = left;
    }
    pieces
}

/// All paths that begin with `root`, with groups such as `a::{b, c::d}` taken apart. `$crate::` is not one of them.
pub(super) fn paths(code: &str, root: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(root) {
        let (before, after) = (&code[..at], &code[at + root.len()..]);
        let part_of_a_name = before.ends_with(|c: char| c.is_alphanumeric() || "_$:".contains(c));
        if part_of_a_name || !after.trim_start().starts_with("::") {
            continue;
        }
        let mut paths = Vec::new();
        expand(root, after, &mut paths);
        let line = before.matches('\n').count() + 1;
        found.extend(paths.into_iter().map(|path| Found { line, path }));
    }
    found
}

/// Reads on after `prefix` and pushes each path that begins with it. Returns the rest of the text.
fn expand<'a>(prefix: &str, rest: &'a str, paths: &mut Vec<String>) -> &'a str {
    let Some(next) = rest.trim_start().strip_prefix("::") else {
        paths.push(prefix.to_owned());
        return rest;
    };
    let next = next.trim_start();
    if let Some(mut group) = next.strip_prefix('{') {
        loop {
            group = group.trim_start_matches([',', ' ', '\n', '\t', '\r']);
            if group.is_empty() || group.starts_with('}') {
                return group.strip_prefix('}').unwrap_or(group);
            }
            let (name, after) = name(group);
            // A star in a group is no name, and is taken as it is.
            let (name, after) = if name.is_empty() { group.split_at(1) } else { (name, after) };
            group = expand(&format!("{prefix}::{name}"), after, paths);
            // Steps over `as other`.
            group = group.trim_start_matches(|c| c != ',' && c != '}');
        }
    }
    let (name, after) = name(next);
    if name.is_empty() {
        // `a::*`, or the turbofish of `a::<T>`.
        paths.push(if next.starts_with('*') { format!("{prefix}::*") } else { prefix.to_owned() });
        return next;
    }
    expand(&format!("{prefix}::{name}"), after, paths)
}

fn name(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len()))
}

/// Blanks out each item with `test` in its `cfg`.
fn without_test_items(mut code: String) -> String {
    let mut from = 0;
    while let Some(at) = code[from..].find("#[cfg(").map(|at| at + from) {
        let attribute = at + closing(&code[at..], '[', ']');
        let condition = &code[at..attribute];
        from = attribute;
        let asks_for_test = condition.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "test");
        if asks_for_test && !condition.contains("not(test") {
            // The item ends with its braces or, if it has none, with a semicolon.
            let item = &code[attribute..];
            let (brace, semicolon) = (item.find('{'), item.find(';'));
            let end = attribute
                + match (brace, semicolon) {
                    (Some(brace), Some(semicolon)) if semicolon < brace => semicolon + 1,
                    (None, Some(semicolon)) => semicolon + 1,
                    _ => closing(item, '{', '}'),
                };
            let mut blanked = String::new();
            blank(&code[at..end], &mut blanked);
            code.replace_range(at..end, &blanked);
        }
    }
    code
}

/// The length up to and including the bracket that closes the first `open`.
fn closing(text: &str, open: char, close: char) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        }
    }
    text.len()
}

/// One blank for each byte, so lines and offsets stay.
fn blank(piece: &str, out: &mut String) {
    out.extend(piece.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let step = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The number of hashes, if a raw string begins here.
fn raw_hashes(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('r')?;
    let hashes = rest.bytes().take_while(|byte| *byte == b'#').count();
    rest[hashes..].starts_with('"').then_some(hashes)
}

fn raw_string(text: &str) -> usize {
    let hashes = raw_hashes(text).unwrap_or(0);
    let begin = 2 + hashes;
    let end = format!("\"{}", "#".repeat(hashes));
    text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len())
}

/// The length of a character literal; `None` for a lifetime.
fn char_literal(text: &str) -> Option<usize> {
    let mut inside = text.char_indices().skip(1);
    let (_, first) = inside.next()?;
    if first == '\\' {
        inside.next()?;
        return Some(inside.find(|(_, c)| *c == '\'')?.0 + 1);
    }
    let (at, next) = inside.next()?;
    (next == '\'').then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(code: &str, root: &str) -> Vec<String> {
        paths(code, root).into_iter().map(|found| found.path).collect()
    }

    #[test]
    fn comments_and_strings_are_blanked_and_lines_kept() {
        let code = without_comments("a // x\n/* x /* x */\n x */ b \"x\\\"\" 'x' '\\'' r#\"x\"# &'y z\n");
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "b", "&'y", "z"]);
        assert_eq!(code.matches('\n').count(), 3);
    }

    #[test]
    fn a_text_is_read_as_the_program_has_it() {
        let found = texts(
            "write!(\n    f,\n    \"one \\\n        \\\"two\\\" {}\", \"\"); // \"not this\"\nlet x: &'a str = r#\"raw\"#;",
        );
        let found: Vec<_> = found.iter().map(|(before, text)| (before.trim(), text.as_str())).collect();
        assert_eq!(
            found,
            [
                ("write!(\n    f,", "one \"two\" {}"),
                (",", ""),
                (");  \nlet x: &'a str =".replace("  ", " ").as_str(), "raw")
            ]
        );
    }

    #[test]
    fn items_for_tests_are_blanked_and_what_follows_is_kept() {
        let code = shipped(
            "#[cfg(test)]\nmod tests { fn x() { x } }\nfn a() {}\n#[cfg(all(test, loom))]\nmod x;\nfn b() {}\n",
        );
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["fn", "a()", "{}", "fn", "b()", "{}"]);
        assert!(!shipped("#[cfg(all(test, not(loom)))]\nmod tests { fn a() {} }\n").contains("fn a"));
        assert!(shipped("#[cfg(not(test))]\nfn a() {}\n").contains("fn a"));
    }

    #[test]
    fn paths_are_found_in_uses_groups_and_expressions() {
        let code = "use crate::{a::B, c::{self, D as E}, f::*};\nlet x = crate::g::h::<u8>(mycrate::z, $crate::z);";
        assert_eq!(
            names(code, "crate"),
            ["crate::a::B", "crate::c::self", "crate::c::D", "crate::f::*", "crate::g::h"]
        );
        assert_eq!(paths(code, "crate")[4].line, 2);
        assert_eq!(names("pub(crate) fn x() {}", "crate"), [""; 0]);
        assert_eq!(
            names("use std::{fmt, sync::{Arc, Mutex}};", "std"),
            ["std::fmt", "std::sync::Arc", "std::sync::Mutex"]
        );
    }
}
