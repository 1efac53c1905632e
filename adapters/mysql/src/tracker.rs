//! Decides whether a returned session needs a reset, without a query: records what the session's commands may have left in it.
//!
//! Pure. It receives each command of the holder before it is sent, and afterwards its end and the parts of the answer that matter. `sql/`
//! determines the effect of a text.

use crate::sql;
use crate::sql::{Effect, Lasting};

/// The record of one session, from its opening or its last reset on.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// The session may have changed.
    left: bool,
    /// The end of the last command was not seen: it is under way, or its holder has panicked.
    under_way: bool,
    /// A command may have changed how the server reads later texts, or whether they commit, so no later text shows its effect. Only a reset
    /// clears this. [`start_tracking`](Self::start_tracking) does not, because such a change by `on_open` is still in effect.
    blind: bool,
    /// A statement was prepared, whose warnings the driver does not report. The next command clears them.
    unseen_warnings: bool,
    /// The strongest effect seen that no reset undoes.
    lasting: Lasting,
    /// A transaction is certainly open: a text has begun it, or the server has reported it, and no command since could have ended it.
    begun: bool,
    /// `LAST_INSERT_ID()` is a generated value: the present holder's if a command was answered in this loan, else an earlier holder's. It
    /// needs no reset: the first command of the next loan clears it.
    number: bool,
    /// This loan has sent a command, so the answer that the driver exposes (`last_insert_id()`, `affected_rows()`) is its own.
    answered: bool,
}

impl Tracker {
    /// Whether the session is certainly as at the last call of `start_tracking`, apart from `LAST_INSERT_ID()`.
    pub(crate) fn is_clean(&self) -> bool {
        !(self.left || self.under_way || self.blind || self.unseen_warnings)
    }

    /// The loan ends, and the session is lent again without a reset.
    pub(crate) fn hand_on(&mut self) {
        self.answered = false;
    }

    /// Whether `LAST_INSERT_ID()` is still an earlier holder's.
    pub(crate) fn inherits_number(&self) -> bool {
        self.number && !self.answered
    }

    /// Whether the driver's current answer belongs to the present holder.
    pub(crate) fn is_answered(&self) -> bool {
        self.answered
    }

    /// Records a command that the adapter sends for the holder, such as COMMIT. It may end a transaction that a text has begun.
    pub(crate) fn control(&mut self) {
        (self.answered, self.begun) = (true, false);
    }

    /// The server has generated a value for an `AUTO_INCREMENT` column.
    pub(crate) fn numbered(&mut self) {
        self.number = true;
    }

    /// `LAST_INSERT_ID()` was set back to 0.
    pub(crate) fn forgot_number(&mut self) {
        self.number = false;
    }

    /// The session may have changed in an unknown way.
    pub(crate) fn doubt(&mut self) {
        self.left = true;
    }

    /// The same, by commands that were not seen: they may also have changed how the server reads later texts, or have begun what no reset
    /// undoes.
    pub(crate) fn lose_sight(&mut self) {
        (self.left, self.blind, self.answered, self.begun) = (true, true, true, false);
        self.lasting = self.lasting.max(Lasting::Hidden);
    }

    /// Records a text before it is sent. Returns whether it is harmless.
    pub(crate) fn text(&mut self, text: &str) -> bool {
        self.goes_out();
        let effect = sql::effect(text);
        if effect != Effect::None {
            self.left = true;
            self.record(text, effect);
        }
        self.transacts(text, effect);
        effect == Effect::None
    }

    /// Records an `init` statement that has run. It matters only whether it has begun a transaction: after `init` the adapter asks the
    /// server how it reads texts, and a reset restores the state that `init` has set.
    pub(crate) fn set_up(&mut self, text: &str) {
        self.transacts(text, sql::effect(text));
    }

    /// Records whether a transaction is certainly open after this text.
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

    /// Whether a transaction is certainly open.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Records the preparation of a text, and returns whether the text is harmless. `known`: prepared earlier, with that answer.
    pub(crate) fn prepared(&mut self, text: &str, known: Option<bool>) -> bool {
        self.unseen_warnings |= known.is_none();
        if known == Some(true) {
            return true;
        }
        let effect = sql::effect(text);
        if effect != Effect::None {
            self.record(text, effect);
        }
        effect == Effect::None
    }

    /// Records the execution of a statement before it is sent. `None`: its preparation was not seen.
    pub(crate) fn executed(&mut self, is_harmless: Option<bool>) {
        self.goes_out();
        match is_harmless {
            Some(true) => {}
            Some(false) => (self.left, self.begun) = (true, false),
            None => self.lose_sight(),
        }
    }

    /// Whether the end of the last command was not seen.
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Whether later texts are unreliable, and a transaction may be open unseen.
    pub(crate) fn is_blind(&self) -> bool {
        self.blind
    }

    /// The strongest effect seen that no reset undoes.
    pub(crate) fn lasting(&self) -> Lasting {
        self.lasting
    }

    /// Records the end of the last command.
    pub(crate) fn done(&mut self) {
        (self.under_way, self.unseen_warnings) = (false, false);
    }

    /// Makes the present state the one that `is_clean` compares with. The pool calls it after `on_open`, at opening and after each reset.
    ///
    /// `blind` survives, because after `on_open` (unlike after `init`) the adapter does not ask the server how it reads texts. An `on_open`
    /// with such a text therefore costs a reset after each loan.
    pub(crate) fn start_tracking(&mut self) {
        (self.left, self.unseen_warnings, self.answered, self.lasting) = (false, false, false, Lasting::No);
    }

    /// A command is about to be sent.
    fn goes_out(&mut self) {
        self.answered = true;
        // If the end of the previous command was not seen, its effect is unknown.
        self.left |= self.under_way;
        self.under_way = true;
    }

    /// Records the effects of a text that is not known to be harmless.
    fn record(&mut self, text: &str, effect: Effect) {
        self.blind |= effect >= Effect::Meaning;
        self.lasting = self.lasting.max(sql::lasting(text));
    }

    /// Clears the record after a reset.
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
        assert!(!tracker.is_clean(), "the driver reports no warnings of a preparation");
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
