//! One word for each idea: words that have been replaced, each with its substitute.
//!
//! They are banned in names and in prose, in sources and in documents. Phrases that make prose clumsy are banned in prose alone. Only this
//! file may contain them.

use super::Finding;
use crate::workspace::File;

/// A word or a phrase in lower case, in each of its forms, and its substitute.
const BANNED: &[(&[&str], &str)] = &[
    (
        &[
            "crew",
            "crews",
            "crewthread",
            "helper thread",
            "helper threads",
            "thread of the pool's",
            "the pool's threads",
        ],
        "worker",
    ),
    (&["berth", "berths"], "worker id"),
    (&["aboard"], "is_current, or \"called from a worker\""),
    (&["sever", "severs", "severed", "severing", "cut off"], "abort; of a socket, shut down"),
    (&["on_cut", "uncuttable"], "on_abort, unabortable"),
    (&["closedone"], "ConnectionClosed"),
    (&["rebase", "rebased"], "start_tracking"),
    (&["look_on", "at_ease"], "watch, reset_growth"),
    (&["cut the line", "cuts the line", "line is cut", "line was cut", "lines are cut"], "abort the connection"),
    (&["first in line", "joins the line", "leaves the line", "in the line"], "the queue, the head of the queue"),
    (&["upkeep"], "maintenance"),
    (&["onlooker", "onlookers"], "watcher"),
    (&["nudge", "nudges", "nudged"], "want_one"),
    (&["pardon", "pardons", "pardoned"], "retry_now"),
    (&["give_back", "take_back", "taken_back"], "into_entry, reject, rejected_at_checkout"),
    (&["whoever", "whomever"], "the one who is meant: the waiter, the holder, the caller"),
];

/// Phrases in lower case that are hard to read or give things a mind, and what to write instead.
const PHRASES: &[(&[&str], &str)] = &[
    (&["what is idle", "what was idle"], "idle connections"),
    (&["what is lent"], "connections in use"),
    (&["the one who", "the ones who"], "the waiter, the holder, the caller"),
    (&["to who", "by who"], "the caller that, the client that"),
    (&["of its own accord", "of their own accord"], "unasked"),
    (&["of theirs"], "their"),
    (&["none but", "nobody but"], "only"),
    (&["so to speak"], "nothing: be exact"),
    (&["by way of"], "through"),
    (&["comes to lie", "come to lie"], "is above, is below"),
    (&["is no matter of", "is none of its business"], "does not concern"),
    (&["hears of", "hear of"], "is notified of, receives, detects"),
    (&["knows no", "know no", "knows nothing of"], "has no, does not depend on"),
    (&["what it is told", "as it is told"], "its orders, as configured"),
    (
        &["looks whether", "look whether", "looked whether", "looking whether", "looks how"],
        "checks whether, measures how",
    ),
    (&["sees to it", "see to it"], "makes sure"),
    (&["workshop"], "xtask"),
];

/// Chained, it makes a sentence that explains itself twice.
const CHAINED: &str = "so that";

pub(super) fn banned(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| !file.path.ends_with("tidy/words.rs")) {
        for block in blocks(file) {
            let lower = block.text.to_lowercase();
            // A name such as `in_the_crew` is checked as separate words, too.
            let spaced = lower.replace('_', " ");
            let mut complain = |at, what| {
                let finding = Finding::new(&file.path, block.line(at), what);
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            };
            for (forms, instead) in BANNED {
                for form in *forms {
                    let places = stands_in(&lower, form).chain(stands_in(&spaced, form));
                    places.for_each(|at| complain(at, format!("says {form:?}; say {instead}")));
                }
            }
            for (forms, instead) in PHRASES {
                for form in *forms {
                    stands_in(&lower, form).for_each(|at| complain(at, format!("says {form:?}; write {instead}")));
                }
            }
            let mut begin = 0;
            for sentence in lower.split_inclusive(". ") {
                let mut chained = sentence.match_indices(CHAINED);
                if let (Some((first, _)), Some(_)) = (chained.next(), chained.next()) {
                    complain(begin + first, format!("says {CHAINED:?} twice; write two sentences"));
                }
                begin += sentence.len();
            }
        }
    }
    findings
}

/// A paragraph of a document or of a comment, or a line of code.
struct Block {
    text: String,
    /// Where each line begins in the text, and its number.
    lines: Vec<(usize, usize)>,
}

impl Block {
    fn line(&self, at: usize) -> usize {
        self.lines.iter().rev().find(|(begin, _)| *begin <= at).map_or(0, |(_, number)| *number)
    }
}

/// The paragraphs, each as one text, since a phrase may stand on two lines.
fn blocks(file: &File) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = None;
    for (at, line) in file.text.lines().enumerate() {
        let (marker, text) = comment(file, line.trim());
        let text = text.trim();
        let begins = ["- ", "* ", "|", "#", "```"].iter().any(|mark| text.starts_with(mark));
        match blocks.last_mut() {
            Some(block) if open.is_some() && open == marker && !text.is_empty() && !begins => {
                block.text.push(' ');
                block.lines.push((block.text.len(), at + 1));
                block.text.push_str(text);
            }
            _ => blocks.push(Block { text: text.to_owned(), lines: vec![(0, at + 1)] }),
        }
        open = marker.filter(|_| !text.is_empty() && !text.starts_with(['|', '#']));
    }
    blocks
}

/// The marker of a line of prose, empty in a document, and its text.
fn comment<'a>(file: &File, line: &'a str) -> (Option<&'static str>, &'a str) {
    let markers: &[&str] = match () {
        _ if file.is(&["md"]) => &[""],
        _ if file.is(&["rs", "js"]) => &["///", "//!", "//"],
        _ => &["#"],
    };
    let found = markers.iter().find_map(|marker| Some((Some(*marker), line.strip_prefix(marker)?)));
    found.unwrap_or((None, line))
}

/// Where the form occurs as separate words, not within longer ones.
fn stands_in<'a>(text: &'a str, form: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(form).map(|(at, _)| at).filter(move |at| {
        let letter = |c: char| c.is_alphanumeric();
        !text[..*at].ends_with(letter) && !text[at + form.len()..].starts_with(letter)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    fn complaints(text: &str) -> Vec<String> {
        banned(&[file("pool/src/pool.rs", text)]).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_banned_word_is_found_in_prose_and_in_names_with_its_substitute() {
        assert_eq!(complaints("/// Runs in the crew.\n"), ["says \"crew\"; say worker"]);
        assert_eq!(complaints("fn checks_run_in_the_crew() {}\n"), ["says \"crew\"; say worker"]);
        assert_eq!(complaints("Severed ones.\n"), ["says \"severed\"; say abort; of a socket, shut down"]);
        assert_eq!(complaints("limit.on_cut(f);\n").len(), 1);
        assert_eq!(complaints("The first in line waits.\n").len(), 1);
    }

    #[test]
    fn words_that_merely_contain_one_are_fine() {
        assert_eq!(complaints("Several screws, severe weather, crewed.\nThe line number.\n"), [""; 0]);
    }

    #[test]
    fn a_banned_phrase_is_found_in_prose_and_not_in_names() {
        assert_eq!(complaints("/// Closes what is idle.\n"), ["says \"what is idle\"; write idle connections"]);
        assert_eq!(complaints("It knows no pool.\n"), ["says \"knows no\"; write has no, does not depend on"]);
        for (forms, _) in PHRASES {
            forms.iter().for_each(|form| assert_eq!(complaints(&format!("x {form} y\n")).len(), 1, "{form}"));
        }
        assert_eq!(complaints("fn it_takes_what_is_idle() {}\nHe knows nobody. See to items.\n"), [""; 0]);
    }

    #[test]
    fn a_chain_of_so_that_is_found() {
        assert_eq!(complaints("Waits so that it sees so that it knows.\n").len(), 1);
        assert_eq!(complaints("Waits so that it sees.\nSo that it knows.\n"), [""; 0]);
    }

    #[test]
    fn a_phrase_on_two_lines_is_found_at_its_first() {
        let lines = |path, text| banned(&[file(path, text)]).iter().map(|finding| finding.line).collect::<Vec<_>>();
        assert_eq!(lines("a.rs", "/// Fine.\n/// It closes what\n/// is idle now.\n"), [2]);
        assert_eq!(lines("a.rs", "    // The first in\n    // line waits.\n"), [1]);
        assert_eq!(lines("a.md", "- Fine\n- Waits so that it sees, so\n  that it ends.\n"), [2]);
        assert_eq!(lines("a.toml", "# It knows\n# no pool.\n"), [1]);
        assert_eq!(lines("a.md", "It closes what\n\nis idle\n\n- what\n- is idle\n| what\n| is idle\n"), [0; 0]);
        assert_eq!(lines("a.rs", "/// It closes what\n///\n/// is idle\n// what\nis_idle();\n"), [0; 0]);
    }

    #[test]
    fn each_finding_names_its_line() {
        let findings = banned(&[file("README.md", "fine\nwhoever\n")]);
        assert_eq!((findings[0].path.as_str(), findings[0].line), ("README.md", 2));
    }
}
