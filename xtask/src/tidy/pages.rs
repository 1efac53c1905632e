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

/// A link within the repository leads to a file or a folder, and its fragment to a heading of that page.
pub(super) fn links(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is(&["md"])) {
        let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
        for (number, target) in all_targets(&file.text) {
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { PathBuf::from(&file.path) } else { plain(&folder.join(path)) };
            let page = files.iter().find(|there| Path::new(&there.path) == path && there.is(&["md"]));
            let has_heading = |page: &File| anchors(&page.text).iter().any(|anchor| anchor == fragment);
            // Pictures are not among the text files.
            let exists = || files.iter().any(|there| Path::new(&there.path).starts_with(&path));
            let mut complain = |what: &str| findings.push(Finding::new(&file.path, number, what));
            if !exists() && !workspace::root().join(&path).exists() {
                complain(&format!("links to {target}, which does not exist"));
            } else if !fragment.is_empty() && page.is_some_and(|page| !has_heading(page)) {
                complain(&format!("links to {target}, but there is no such heading"));
            }
        }
    }
    findings
}

/// A README that rustdoc shows as the page of its crate has no link to a file, which would lead nowhere there.
pub(super) fn crate_pages(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for library in files.iter().filter(|file| file.path.ends_with("src/lib.rs")) {
        let folder = Path::new(&library.path).parent().unwrap_or(Path::new(""));
        let included = library.text.lines().filter_map(|line| line.strip_prefix("#![doc = include_str!(\""));
        for path in included.filter_map(|rest| Some(plain(&folder.join(rest.split_once('"')?.0)))) {
            for file in files.iter().filter(|file| Path::new(&file.path) == path) {
                let links = all_targets(&file.text).into_iter().filter(|(_, target)| !target.starts_with('#'));
                let what = |target| format!("links to {target}, but is the page of a crate: name the file instead");
                findings.extend(links.map(|(number, target)| Finding::new(&file.path, number, what(target))));
            }
        }
    }
    findings
}

/// The targets of a page's links, each with the number of its line, without those to other sites and to items of code.
fn all_targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_broken = false;
    for (number, line) in prose(text) {
        // `](` at the end of a line: the target begins the next one.
        let first = if is_broken { line.split([')', ' ']).next() } else { None };
        is_broken = line.trim_end().ends_with("](");
        found.extend(first.into_iter().chain(targets(line)).filter(|it| is_file(it)).map(|target| (number, target)));
    }
    found
}

/// The targets in a line: of links, of the definitions that links refer to, and of HTML.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let links = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let definition = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]: "));
    let defined = definition.filter(|(name, _)| !name.contains(']') && !name.starts_with('^'));
    let defined = defined.and_then(|(_, target)| target.split_whitespace().next());
    let html = ["src=\"", "href=\"", "srcset=\""].into_iter().flat_map(|name| line.split(name).skip(1));
    links.chain(defined).chain(html.filter_map(|rest| rest.split(['"', ' ']).next()))
}

/// Whether a target is a file or a heading: not empty, no other site, no item of code, whose name has no hyphen.
fn is_file(target: &str) -> bool {
    let path = target.split('#').next().unwrap_or_default();
    let is_item = path.contains("::") || path.chars().all(|c| c.is_alphanumeric() || c == '_');
    let is_elsewhere = target.contains("//") || target.starts_with("mailto:");
    !target.is_empty() && !is_elsewhere && (target.starts_with('#') || !is_item)
}

/// The anchors of a page's headings: the words in lower case, joined by hyphens, with a number if they occur again.
fn anchors(text: &str) -> Vec<String> {
    let (mut seen, mut anchors) = (Vec::new(), Vec::new());
    let headings = prose(text).filter(|(_, line)| line.starts_with('#'));
    for title in headings.filter_map(|(_, line)| line.trim_start_matches('#').strip_prefix(' ')) {
        let mut parts = title.split("](");
        let mut shown = parts.next().unwrap_or_default().to_owned();
        shown.extend(parts.filter_map(|part| Some(part.split_once(')')?.1)));
        let kept = shown.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let earlier = seen.iter().filter(|earlier| **earlier == anchor).count();
        anchors.push(if earlier == 0 { anchor.clone() } else { format!("{anchor}-{earlier}") });
        seen.push(anchor);
    }
    anchors
}

/// The lines of a page with their numbers, without blocks of code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    let lines = text.lines().enumerate().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    });
    lines.map(|(at, line)| (at + 1, line))
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
            links(&there).into_iter().map(|finding| finding.line).collect::<Vec<_>>()
        };
        assert_eq!(
            complaints("[a](picture.svg) [b](../adapters/a/src/lib.rs#L7) [c](../adapters/a \"title\")"),
            [0; 0]
        );
        assert_eq!(
            complaints("[a](https://example.invalid/x.md#y) [`get`](crate::Pool::get) [t](Pool#threads)"),
            [0; 0]
        );
        assert_eq!(complaints("\n[a](missing.svg) and [b](../adapters/b/README.md)"), [2, 2]);
        assert_eq!(complaints("```md\n[a](missing.svg)\n```\n[b](missing.svg)"), [4]);
    }

    #[test]
    fn links_of_every_form_are_read() {
        let lines = |text: &str| {
            links(&[file("docs/guide.md", text), file("LICENSE-MIT", "")])
                .into_iter()
                .map(|finding| finding.line)
                .collect::<Vec<_>>()
        };
        assert_eq!(lines("[a][b] <img src=\"guide.md\"> [l](../LICENSE-MIT)\n[b]: guide.md\n[^1]: no.md"), [0; 0]);
        assert_eq!(lines("[a][b]\n\n[b]: missing.md \"title\"\n"), [3]);
        assert_eq!(lines("<a href=\"missing.md\"><img src=\"missing.png\" alt=\"x\"></a>"), [1, 1]);
        assert_eq!(lines("[a](LICENSE-MIT) [b](LICENSE-APACHE)"), [1, 1]);
        assert_eq!(lines("[text on\ntwo lines](missing.md)\n[a](\nmissing.md)\n[b](\nguide.md)"), [2, 4]);
    }

    #[test]
    fn a_page_of_a_crate_that_links_to_a_file_is_found() {
        let complaints = |lib: &str, text: &str| {
            let files = [file("a/src/lib.rs", lib), file("a/README.md", text), file("docs/x.md", "")];
            crate_pages(&files).into_iter().map(|finding| (finding.path, finding.line)).collect::<Vec<_>>()
        };
        let lib = "#![doc = include_str!(\"../README.md\")]\n";
        assert_eq!(complaints(lib, "A\n[x](../docs/x.md)"), [("a/README.md".to_owned(), 2)]);
        assert_eq!(
            complaints(lib, "[x](https://example.invalid/x.md) [y](#y) [z](crate::Z) [t](Pool#threads) `docs/x.md`"),
            []
        );
        assert_eq!(complaints("//! A.\n", "[x](../docs/x.md)"), []);
    }

    #[test]
    fn a_link_to_a_missing_heading_is_found() {
        let complaints = |text: &str| {
            let guide =
                "# The guide\n```sh\n# not this\n```\n## Time-outs (`all`) & [links](x.md)\n## Limits\n## Limits\n";
            links(&[file("docs/guide.md", guide), file("docs/x.md", ""), file("README.md", text)]).len()
        };
        assert_eq!(complaints("[a](docs/guide.md#the-guide) [b](docs/guide.md#time-outs-all--links)"), 0);
        assert_eq!(complaints("[a](docs/guide.md#limits) [b](docs/guide.md#limits-1) [c](#own)\n# Own"), 0);
        assert_eq!(complaints("[a](docs/guide.md#not-this) [b](docs/guide.md#limits-2) [c](#own)"), 3);
        assert_eq!(complaints("[a](docs/missing.md#limits)"), 1);
    }
}
