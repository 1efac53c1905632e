//! One word for each idea: words that have been replaced, each with its substitute.
//!
//! They are banned in names and in prose, in sources and in documents. Only this file may contain them.

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

pub(super) fn banned(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| !file.path.ends_with("tidy/words.rs")) {
        for (number, line) in file.text.lines().enumerate() {
            // A name such as `in_the_crew` is checked as separate words, too.
            let lower = line.to_lowercase();
            let spaced = lower.replace('_', " ");
            for (forms, instead) in BANNED {
                if let Some(form) = forms.iter().find(|form| stands_in(&lower, form) || stands_in(&spaced, form)) {
                    findings.push(Finding::new(&file.path, number + 1, format!("says {form:?}; say {instead}")));
                }
            }
        }
    }
    findings
}

/// Whether the form occurs as separate words, not within longer ones.
fn stands_in(line: &str, form: &str) -> bool {
    line.match_indices(form).any(|(at, _)| {
        let letter = |c: char| c.is_alphanumeric();
        !line[..at].ends_with(letter) && !line[at + form.len()..].starts_with(letter)
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
    fn each_finding_names_its_line() {
        let findings = banned(&[file("README.md", "fine\nwhoever\n")]);
        assert_eq!((findings[0].path.as_str(), findings[0].line), ("README.md", 2));
    }
}
