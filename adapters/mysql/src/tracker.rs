//! What a holder may have left in the session, as far as it is known without a query.
//!
//! Pure: it is given each statement before it is sent. `sql/` determines the effect of a text.

use crate::sql;
use crate::sql::{Effect, Lasting};

/// Records whether everything sent since the last reset certainly left no trace.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// There may be a trace.
    left: bool,
    /// A command is under way, or its holder has panicked in the middle of it.
    under_way: bool,
    /// Something may have changed the meaning of texts, or that a text commits by itself. Texts prove nothing then until the next reset,
    /// even after tracking starts again.
    blind: bool,
    /// A statement was prepared: the driver does not report the warnings of that, and the next command clears them.
    untold: bool,
    /// What the holder has done that no reset undoes, as far as it was seen.
    lasting: Lasting,
    /// A text has begun a transaction, and nothing since could have ended it. Never set while autocommit is off, because texts then prove
    /// nothing.
    begun: bool,
    /// `LAST_INSERT_ID()` is the number of a row: the present holder's if a command was answered in this loan, else an earlier holder's.
    /// This alone needs no reset: the next holder's first command restores it.
    number: bool,
    /// A command of this loan was sent whose answer the driver exposes: `last_insert_id()`, `affected_rows()`.
    answered: bool,
}

impl Tracker {
    /// Is the session certainly as after the last reset, or its opening?
    pub(crate) fn is_clean(&self) -> bool {
        !(self.left || self.under_way || self.blind || self.untold)
    }

    /// The loan ends, and the session is lent again without a reset.
    pub(crate) fn hand_on(&mut self) {
        self.answered = false;
    }

    /// Is `LAST_INSERT_ID()` still an earlier holder's?
    pub(crate) fn inherits_number(&self) -> bool {
        self.number && !self.answered
    }

    /// Does the driver's current answer belong to the present holder?
    pub(crate) fn is_answered(&self) -> bool {
        self.answered
    }

    /// A command of ours is sent for the present holder, which may end the holder's own transaction.
    pub(crate) fn control(&mut self) {
        (self.answered, self.begun) = (true, false);
    }

    /// A row got a number.
    pub(crate) fn numbered(&mut self) {
        self.number = true;
    }

    /// `LAST_INSERT_ID()` is as in a new session.
    pub(crate) fn forgot_number(&mut self) {
        self.number = false;
    }

    /// Something happened with unknown traces.
    pub(crate) fn doubt(&mut self) {
        self.left = true;
    }

    /// The same, and it may have changed the meaning of texts.
    pub(crate) fn lose_sight(&mut self) {
        (self.left, self.blind, self.answered, self.begun) = (true, true, true, false);
        self.lasting = self.lasting.max(Lasting::Hidden);
    }

    /// This text is sent. Returns whether it is harmless.
    pub(crate) fn text(&mut self, text: &str) -> bool {
        self.goes_out();
        let effect = sql::effect(text);
        if effect != Effect::None {
            self.left = true;
            self.read(text, effect);
        }
        self.transacts(text, effect);
        effect == Effect::None
    }

    /// This text has set the session up.
    pub(crate) fn set_up(&mut self, text: &str) {
        self.transacts(text, sql::effect(text));
    }

    fn transacts(&mut self, text: &str, effect: Effect) {
        self.begun = match effect {
            Effect::None | Effect::Setting => self.begun,
            Effect::Meaning => false,
            Effect::Anything => sql::begins_transaction(text),
        };
    }

    /// The server reports an open transaction.
    pub(crate) fn found_transaction(&mut self) {
        self.begun = true;
    }

    /// Is a transaction certainly open?
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// This text was prepared, now or earlier; if earlier, it is known whether it is harmless. Returns whether it is.
    pub(crate) fn prepared(&mut self, text: &str, known: Option<bool>) -> bool {
        self.untold |= known.is_none();
        if known == Some(true) {
            return true;
        }
        let effect = sql::effect(text);
        if effect != Effect::None {
            self.read(text, effect);
        }
        effect == Effect::None
    }

    /// A statement is sent that is known to be harmless or not, or that was prepared unseen.
    pub(crate) fn executed(&mut self, is_harmless: Option<bool>) {
        self.goes_out();
        match is_harmless {
            Some(true) => {}
            Some(false) => (self.left, self.begun) = (true, false),
            None => self.lose_sight(),
        }
    }

    /// Was the end of the last command not seen?
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// May texts commit by themselves, or have done so?
    pub(crate) fn is_blind(&self) -> bool {
        self.blind
    }

    /// Has the session a trace that no reset undoes?
    pub(crate) fn lasting(&self) -> Lasting {
        self.lasting
    }

    /// The command that was sent is done.
    pub(crate) fn done(&mut self) {
        (self.under_way, self.untold) = (false, false);
    }

    /// The session's state up to now is its intended one.
    pub(crate) fn start_tracking(&mut self) {
        (self.left, self.untold, self.answered, self.lasting) = (false, false, false, Lasting::No);
    }

    fn goes_out(&mut self) {
        self.answered = true;
        // The traces of a command without an end stay unknown.
        self.left |= self.under_way;
        self.under_way = true;
    }

    /// A text that is not known to be harmless.
    fn read(&mut self, text: &str, effect: Effect) {
        self.blind |= effect >= Effect::Meaning;
        self.lasting = self.lasting.max(sql::lasting(text));
    }

    /// After a reset.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_open_for_sure_until_something_may_have_ended_it() {
        for (texts, begun) in [
            (&["BEGIN"][..], true),
            (&["START TRANSACTION", "INSERT INTO t VALUES (1)", "SET @a = 1"], true),
            (&["BEGIN", "COMMIT"], false),
            (&["BEGIN", "CREATE TABLE t (a INT)"], false),
            (&["BEGIN", "SET autocommit = 1"], false),
            (&["BEGIN; COMMIT"], false),
            (&["SELECT 1"], false),
        ] {
            let mut tracker = Tracker::default();
            texts.iter().for_each(|text| _ = tracker.text(text));
            assert_eq!(tracker.has_begun(), begun, "{texts:?}");
            tracker.forget();
            assert!(!tracker.has_begun());
        }
    }

    #[test]
    fn only_what_is_known_to_be_harmless_leaves_no_trace() {
        let mut tracker = Tracker::default();
        tracker.text("SELECT 1");
        tracker.done();
        let harmless = ["SELECT ?", "SET @a = ?"].map(|text| tracker.prepared(text, None));
        assert_eq!(harmless, [true, false]);
        tracker.executed(Some(true));
        tracker.done();
        assert!(tracker.is_clean());
        tracker.executed(Some(false));
        tracker.done();
        assert!(!tracker.is_clean());
        tracker.start_tracking();
        tracker.executed(Some(true));
        tracker.done();
        assert!(tracker.is_clean());
        tracker.executed(None);
        tracker.done();
        assert!(!tracker.is_clean(), "it may have been prepared before the reset");
    }

    #[test]
    fn what_changes_the_meaning_of_texts_is_not_forgotten_when_tracking_starts() {
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
            let mut tracker = Tracker::default();
            tracker.text(text);
            tracker.done();
            tracker.start_tracking();
            assert!(!tracker.is_clean(), "{text}");
            tracker.forget();
            assert!(tracker.is_clean());
        }
    }

    #[test]
    fn plain_settings_are_forgotten_when_tracking_starts() {
        for text in
            ["SET @a = 'b'", "SET SESSION innodb_lock_wait_timeout = 5;", "USE shop", "SET time_zone = '+00:00'"]
        {
            let mut tracker = Tracker::default();
            tracker.text(text);
            tracker.done();
            assert!(!tracker.is_clean(), "{text}");
            tracker.start_tracking();
            assert!(tracker.is_clean(), "{text}");
        }
    }

    #[test]
    fn preparing_is_a_doubt_until_the_next_command() {
        let mut tracker = Tracker::default();
        tracker.prepared("SELECT 1", None);
        assert!(!tracker.is_clean(), "the driver does not tell of warnings");
        tracker.executed(Some(true));
        tracker.done();
        assert!(tracker.is_clean());
        tracker.prepared("SELECT 1", Some(true));
        assert!(tracker.is_clean(), "nothing was sent");
    }

    #[test]
    fn a_doubt_about_an_end_outlives_the_next_command() {
        let mut tracker = Tracker::default();
        tracker.text("SELECT 1");
        tracker.text("SELECT 2");
        tracker.done();
        assert!(!tracker.is_clean());
    }

    #[test]
    fn a_command_that_never_came_to_its_end_is_a_doubt() {
        let mut tracker = Tracker::default();
        tracker.text("SELECT 1");
        assert!(!tracker.is_clean());
        tracker.done();
        assert!(tracker.is_clean());
    }

    #[test]
    fn the_number_of_a_row_is_its_holders_until_the_loan_ends() {
        let mut tracker = Tracker::default();
        tracker.text("INSERT INTO t (x) VALUES (1)");
        tracker.numbered();
        tracker.done();
        assert!(tracker.is_clean() && !tracker.inherits_number());
        tracker.hand_on();
        assert!(tracker.is_clean() && tracker.inherits_number());
        tracker.forgot_number();
        tracker.text("SELECT 1");
        tracker.hand_on();
        assert!(!tracker.inherits_number());
    }
}
