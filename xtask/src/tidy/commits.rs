//! The subjects of commits: in the imperative, at most 72 characters, without a prefix and without a full stop.
//!
//! Exempt are merges, commits older than the one that added this file, and commits on branches that did not have it. Where the history
//! cannot be read, nothing is checked, and a message gives the reason.

use super::Finding;
use crate::process;
use std::path::Path;
use std::process::Command;

/// A commit, by its short hash.
#[derive(Debug)]
pub(super) struct Commit {
    hash: String,
    subject: String,
}

/// The rule applies to commits after the one that added this file.
pub(super) const RULE: &str = "xtask/src/tidy/commits.rs";

const LONGEST: usize = 72;

/// Imperatives that end like a past tense or a participle.
const ORDERS: &[&str] = &[
    "bleed", "breed", "bring", "embed", "exceed", "feed", "need", "ping", "proceed", "ring", "seed", "shed", "shred",
    "speed", "spring", "string", "succeed", "swing",
];

/// The commits after the one that added the file `rule`, or the reason why they cannot be found.
pub(super) fn since(rule: &str, root: &Path) -> Result<Vec<Commit>, String> {
    let git = |arguments: &[&str]| {
        let said = process::output(git(root).args(arguments));
        said.map(|said| said.trim().to_owned()).map_err(|error| error.to_string())
    };
    let top = git(&["rev-parse", "--show-toplevel"]).map_err(|_| "this is no clone, or git is missing".to_owned())?;
    let real = |path: &Path| path.canonicalize().ok();
    if real(Path::new(&top)) != real(root) {
        return Err("this folder is in the clone of something else".into());
    }
    if git(&["rev-parse", "--is-shallow-repository"])? == "true" {
        return Err("the clone is shallow (`git fetch --unshallow`)".into());
    }
    // The last line is the first time: the file may have been added on two branches, or again after a removal.
    let added = git(&["log", "--full-history", "--diff-filter=A", "--format=%H", "--", rule])?;
    let first = added.lines().last().ok_or_else(|| format!("{rule} is in no commit yet"))?;
    let range = format!("{first}..HEAD");
    let log = git(&["log", "--no-merges", "--ancestry-path", "--format=%h %s", &range])?;
    let commits = log.lines().filter_map(|line| line.split_once(' '));
    Ok(commits.map(|(hash, subject)| Commit { hash: hash.into(), subject: subject.into() }).collect())
}

/// Git in a folder, regardless of the repository of a calling hook and of the user's settings for logs.
fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.args(["-c", "log.showSignature=false"]).current_dir(folder);
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    command
}

pub(super) fn subjects(commits: &[Commit]) -> Vec<Finding> {
    let faults =
        commits.iter().flat_map(|commit| faults(&commit.subject).into_iter().map(move |fault| (commit, fault)));
    faults.map(|(commit, fault)| Finding::whole(&format!("commit {}", commit.hash), fault)).collect()
}

fn faults(subject: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut complain = |what: &str| faults.push(format!("{what}: {subject}"));
    let length = subject.chars().count();
    if length > LONGEST {
        complain(&format!("the subject has {length} characters, more than {LONGEST}"));
    }
    if subject.ends_with('.') {
        complain("the subject ends with a full stop");
    }
    let first = subject.split_whitespace().next().unwrap_or_default();
    if first.ends_with(':') {
        complain("the subject has a prefix");
    } else if !first.starts_with(char::is_uppercase) {
        complain("the subject does not begin with a capital letter");
    } else if !order(&first.to_lowercase()) {
        complain("the subject reports what was done; use the imperative");
    }
    faults
}

/// Whether a subject may begin with this word. The imperative has no ending, so this finds only the others: "added", "adding", "adds".
fn order(word: &str) -> bool {
    let third_person = word.ends_with('s') && !["ss", "us", "is", "as"].iter().any(|end| word.ends_with(end));
    ORDERS.contains(&word) || !(word.ends_with("ed") || word.ends_with("ing") || third_person)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::{env, fs};

    /// A folder with a repository, removed when dropped.
    struct Repository(PathBuf);

    impl Repository {
        fn new(name: &str) -> Self {
            let folder = env::temp_dir().join(format!("cabrank-xtask-{}-{name}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            let repository = Self(folder);
            repository.git(&["init", "--quiet", "--initial-branch", "main"]);
            repository
        }

        fn git(&self, arguments: &[&str]) {
            let who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
            process::output(git(&self.0).args(who).args(arguments)).unwrap();
        }

        fn commit(&self, subject: &str) {
            self.git(&["commit", "--quiet", "--allow-empty", "--message", subject]);
        }

        /// Commits the file that starts the rule.
        fn add_rule(&self) {
            fs::write(self.0.join("rule"), "").unwrap();
            self.git(&["add", "rule"]);
            self.commit("rule.");
        }

        fn subjects(&self) -> Result<Vec<String>, String> {
            since("rule", &self.0).map(|commits| commits.into_iter().map(|commit| commit.subject).collect())
        }
    }

    impl Drop for Repository {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn an_order_is_a_good_subject() {
        for subject in [
            "Close a connection whose reset overran",
            "Need a name for each step",
            "Pass the deadline on: a look-up has one, too",
            "Release 0.1.0",
            "Bypass the queue",
            &format!("Add {}", "x".repeat(LONGEST - 4)),
        ] {
            assert_eq!(faults(subject), [""; 0], "{subject}");
        }
    }

    #[test]
    fn a_subject_that_is_no_order_is_found() {
        for subject in [
            "Added a step",
            "Adding a step",
            "Adds a step",
            "add a step",
            "feat: add a step",
            "Fix(pool): add a step",
            "Add a step.",
            &format!("Add {}", "x".repeat(LONGEST - 3)),
        ] {
            assert_eq!(faults(subject).len(), 1, "{subject}");
        }
        let commit = Commit { hash: "abc".into(), subject: "added.".into() };
        assert_eq!(subjects(&[commit])[0].path, "commit abc");
    }

    #[test]
    fn the_commits_after_the_rule_are_checked_and_no_others() {
        let repository = Repository::new("history");
        repository.commit("before");
        repository.git(&["branch", "beside"]);
        repository.add_rule();
        assert_eq!(repository.subjects().unwrap(), [""; 0]);
        repository.commit("after");
        repository.git(&["checkout", "--quiet", "beside"]);
        repository.commit("beside");
        repository.git(&["checkout", "--quiet", "main"]);
        repository.git(&["merge", "--quiet", "--no-edit", "beside"]);
        repository.commit("last");
        assert_eq!(repository.subjects().unwrap(), ["last", "after"]);
        // Removing and restoring the file does not move the start.
        repository.git(&["rm", "--quiet", "rule"]);
        repository.commit("away");
        repository.add_rule();
        assert_eq!(repository.subjects().unwrap(), ["rule.", "away", "last", "after"]);
    }

    #[test]
    fn a_history_that_cannot_be_read_is_said_not_to_be_checked() {
        let repository = Repository::new("none");
        repository.commit("first");
        assert!(repository.subjects().unwrap_err().contains("in no commit yet"));
        repository.add_rule();
        repository.commit("after");
        let folder = repository.0.join("folder");
        fs::create_dir(&folder).unwrap();
        assert!(since("rule", &folder).unwrap_err().contains("something else"));
        let source = format!("file://{}", repository.0.display());
        repository.git(&["clone", "--quiet", "--depth", "1", &source, "shallow"]);
        assert!(since("rule", &repository.0.join("shallow")).unwrap_err().contains("shallow"));
        fs::remove_dir_all(repository.0.join(".git")).unwrap();
        assert!(repository.subjects().unwrap_err().contains("no clone"));
    }
}
