//! What a holder may have left in the session, as far as it is known without asking.
//!
//! Pure: it is told of each statement before it goes out. What a text can do is `harmless.rs`.

use crate::harmless::{is_harmless, names_resource_group, only_sets};
use std::collections::HashMap;

/// Whether everything that went out since the last reset is known to have left nothing.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    /// Something may have been left.
    left: bool,
    /// A command is under way, or its holder has panicked in the middle of it.
    under_way: bool,
    /// Something may have changed what a text means, or that it commits by itself. Then texts tell nothing until the next reset,
    /// whoever it was.
    blind: bool,
    /// A statement was prepared: of the warnings that this brought, the driver does not tell, and what goes out next takes them
    /// away.
    untold: bool,
    /// No reset undoes it.
    lasting: bool,
    /// The statements that were prepared on this session, by the server's number for them: are they harmless?
    prepared: HashMap<u32, bool>,
}

impl Traces {
    /// Is the session surely as the last reset, or its opening, has left it?
    pub(crate) fn none(&self) -> bool {
        !(self.left || self.under_way || self.blind || self.untold)
    }

    /// Something happened of which nobody knows what it leaves.
    pub(crate) fn doubt(&mut self) {
        self.left = true;
    }

    /// The same, and it may have changed what texts mean.
    pub(crate) fn lose_sight(&mut self) {
        (self.left, self.blind) = (true, true);
    }

    /// This text goes out.
    pub(crate) fn text(&mut self, text: &str) {
        self.goes_out();
        if !is_harmless(text) {
            self.left = true;
            self.read(text);
        }
    }

    pub(crate) fn prepared(&mut self, statement: u32, text: &str) {
        let known = self.prepared.len();
        let harmless = *self.prepared.entry(statement).or_insert_with(|| is_harmless(text));
        self.untold |= self.prepared.len() > known;
        if !harmless {
            self.read(text);
        }
        if self.prepared.len() > MOST_PREPARED {
            // Whoever prepares so many never uses them again. Unknown ones are in doubt.
            self.prepared.clear();
        }
    }

    pub(crate) fn executed(&mut self, statement: u32) {
        self.goes_out();
        match self.prepared.get(&statement) {
            Some(harmless) => self.left |= !harmless,
            None => self.lose_sight(),
        }
    }

    /// Is a statement of this number known to be harmless?
    pub(crate) fn is_harmless(&self, statement: u32) -> bool {
        self.prepared.get(&statement).copied().unwrap_or(false)
    }

    /// Nobody has seen the end of the last command.
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Has the session got what no reset takes from it?
    pub(crate) fn is_lasting(&self) -> bool {
        self.lasting
    }

    pub(crate) fn unprepared(&mut self, statement: u32) {
        self.prepared.remove(&statement);
    }

    /// What went out is done.
    pub(crate) fn done(&mut self) {
        (self.under_way, self.untold) = (false, false);
    }

    /// What was left until now is how the session is to be.
    pub(crate) fn start_tracking(&mut self) {
        (self.left, self.untold, self.lasting) = (false, false, false);
    }

    fn goes_out(&mut self) {
        // What became of one that never came to its end, nobody will know.
        self.left |= self.under_way;
        self.under_way = true;
    }

    /// A text that is not known to be harmless.
    fn read(&mut self, text: &str) {
        self.blind = self.blind || !only_sets(text) || changes_meanings(text);
        self.lasting = self.lasting || names_resource_group(text);
    }

    /// After a reset, which takes the prepared statements away.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Whether it names one of the settings by which a text is read, or those by which it commits.
fn changes_meanings(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["autocommit", "completion_type", "sql_mode", "names", "charset", "character"]
        .iter()
        .any(|word| text.contains(word))
}

const MOST_PREPARED: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_harmless_leaves_no_trace() {
        let mut traces = Traces::default();
        traces.text("SELECT 1");
        traces.done();
        traces.prepared(1, "SELECT ?");
        traces.prepared(2, "SET @a = ?");
        traces.executed(1);
        traces.done();
        assert!(traces.none());
        traces.executed(2);
        traces.done();
        assert!(!traces.none());
        traces.start_tracking();
        traces.executed(1);
        traces.done();
        assert!(traces.none());
        traces.forget();
        traces.executed(1);
        traces.done();
        assert!(!traces.none(), "it was prepared before the reset");
    }

    #[test]
    fn what_changes_the_meaning_of_texts_is_not_forgotten_by_rebasing() {
        for text in [
            "SET autocommit = 0",
            "set names gbk",
            "SET SESSION sql_mode = 'ORACLE'",
            "SET @@completion_type = 1",
            "CALL sets_up",
            "SELECT sets_up()",
            "EXECUTE sets_up",
            "SET @a = sets_up()",
            "SET STATEMENT max_statement_time = 1 FOR CALL sets_up",
            "USE shop; BEGIN",
        ] {
            let mut traces = Traces::default();
            traces.text(text);
            traces.done();
            traces.start_tracking();
            assert!(!traces.none(), "{text}");
            traces.forget();
            assert!(traces.none());
        }
    }

    #[test]
    fn plain_settings_are_forgotten_by_rebasing() {
        for text in
            ["SET @a = 'b'", "SET SESSION innodb_lock_wait_timeout = 5;", "USE shop", "SET time_zone = '+00:00'"]
        {
            let mut traces = Traces::default();
            traces.text(text);
            traces.done();
            assert!(!traces.none(), "{text}");
            traces.start_tracking();
            assert!(traces.none(), "{text}");
        }
    }

    #[test]
    fn preparing_is_a_doubt_until_the_next_command() {
        let mut traces = Traces::default();
        traces.prepared(1, "SELECT 1");
        assert!(!traces.none(), "the driver does not tell of warnings");
        traces.executed(1);
        traces.done();
        assert!(traces.none());
        traces.prepared(1, "SELECT 1");
        assert!(traces.none(), "nothing was sent");
    }

    #[test]
    fn a_doubt_about_an_end_outlives_the_next_command() {
        let mut traces = Traces::default();
        traces.text("SELECT 1");
        traces.text("SELECT 2");
        traces.done();
        assert!(!traces.none());
    }

    #[test]
    fn a_command_that_never_came_to_its_end_is_a_doubt() {
        let mut traces = Traces::default();
        traces.text("SELECT 1");
        assert!(!traces.none());
        traces.done();
        assert!(traces.none());
    }

    #[test]
    fn a_holder_who_prepares_without_end_does_not_fill_the_memory() {
        let mut traces = Traces::default();
        (0..3 * MOST_PREPARED as u32).for_each(|statement| traces.prepared(statement, "SELECT 1"));
        assert!(traces.prepared.len() <= MOST_PREPARED);
    }
}
