//! What a holder may have left in the session, as far as it is known without asking.
//!
//! Pure: it is told of each statement before it goes out. What a text can do is `harmless.rs`.

use crate::harmless::is_harmless;
use std::collections::HashMap;

/// Whether everything that went out since the last reset is known to have left nothing.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    /// Something may have been left.
    left: bool,
    /// Without autocommit every statement leaves a transaction behind. As the session was opened.
    commits_by_itself: bool,
    /// The statements that were prepared on this session, by the server's number for them: are they harmless?
    prepared: HashMap<u32, bool>,
}

impl Traces {
    pub(crate) fn new(commits_by_itself: bool) -> Self {
        Self { commits_by_itself, ..Self::default() }
    }

    /// Is the session surely as the last reset, or its opening, has left it?
    pub(crate) fn none(&self) -> bool {
        self.commits_by_itself && !self.left
    }

    /// Something happened of which nobody knows what it leaves.
    pub(crate) fn doubt(&mut self) {
        self.left = true;
    }

    pub(crate) fn text(&mut self, text: &str) {
        // What is in doubt already need not be read.
        self.left = self.left || !is_harmless(text);
    }

    pub(crate) fn prepared(&mut self, statement: u32, text: &str) {
        self.prepared.entry(statement).or_insert_with(|| is_harmless(text));
        if self.prepared.len() > MOST_PREPARED {
            // Whoever prepares so many never uses them again. Unknown ones are in doubt.
            self.prepared.clear();
        }
    }

    pub(crate) fn executed(&mut self, statement: u32) {
        self.left |= !self.prepared.get(&statement).copied().unwrap_or(false);
    }

    /// What was left until now is how the session is to be.
    pub(crate) fn rebase(&mut self) {
        self.left = false;
    }

    /// After a reset, which takes the prepared statements away.
    pub(crate) fn forget(&mut self) {
        self.left = false;
        self.prepared.clear();
    }
}

const MOST_PREPARED: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_harmless_leaves_no_trace() {
        let mut traces = Traces::new(true);
        traces.text("SELECT 1");
        traces.prepared(1, "SELECT ?");
        traces.prepared(2, "SET @a = ?");
        traces.executed(1);
        assert!(traces.none());
        traces.executed(2);
        assert!(!traces.none());
        traces.rebase();
        traces.executed(1);
        assert!(traces.none());
        traces.forget();
        traces.executed(1);
        assert!(!traces.none(), "it was prepared before the reset");
    }

    #[test]
    fn without_autocommit_every_session_is_in_doubt() {
        assert!(!Traces::new(false).none());
    }

    #[test]
    fn a_holder_who_prepares_without_end_does_not_fill_the_memory() {
        let mut traces = Traces::new(true);
        (0..3 * MOST_PREPARED as u32).for_each(|statement| traces.prepared(statement, "SELECT 1"));
        assert!(traces.prepared.len() <= MOST_PREPARED);
    }
}
