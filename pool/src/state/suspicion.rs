//! Which connections must be checked before their next loan, because another is dead or may be.
//!
//! Each suspicion begins an epoch, and a proof of life has the epoch in which it came. A proof counts if it is no older than the epoch
//! that is needed.

use crate::entry::{Entry, Proof, Question};
use crate::reason::CloseReason;
use crate::state::State;
use crate::state::actions::Actions;
use crate::sync::after;
use std::time::Instant;

impl<C, E> State<C, E> {
    /// Whether the last proof of this connection counts. `false`: it was not proved since the last reason to doubt it.
    #[inline]
    pub(super) fn is_above_suspicion(&self, entry: &Entry<C>) -> bool {
        entry.proved.epoch >= self.epoch_needed
    }

    /// All connections are checked before their next loan, unless they are proved again. Earlier signs of life from the server no
    /// longer count.
    pub(crate) fn suspect(&mut self, now: Instant) {
        self.distrust(now);
        self.forget_the_server();
    }

    /// A connection is proved dead. That puts the others under suspicion, unless it was itself under suspicion already.
    pub(crate) fn died(&mut self, entry: &Entry<C>, now: Instant) {
        match entry.in_doubt {
            // The others have been under suspicion since it came back.
            Some(question) if self.hangs_on(question) => self.forget_the_server(),
            // Another that was in doubt at the same time may have been answered, which ended the suspicion of both.
            _ if self.is_above_suspicion(entry) => self.suspect(now),
            _ => {}
        }
    }

    /// A connection came back that must not be used again, and only a check can show whether it is dead. Until then the others are under
    /// suspicion as if it were.
    pub(super) fn question(&mut self, entry: &mut Entry<C>, now: Instant) {
        let needed_before = self.epoch_needed;
        if self.is_above_suspicion(entry) {
            self.distrust(now);
        }
        entry.in_doubt = Some(Question { needed_before, needed_since: self.epoch_needed });
    }

    /// The server has answered on it, so its end implies nothing for the others. Doubts that were raised later remain.
    pub(super) fn answer(&mut self, entry: &mut Entry<C>, now: Instant, actions: &mut Actions<C, E>) {
        let Some(question) = entry.in_doubt.take() else { return };
        if self.hangs_on(question) {
            self.epoch_needed = question.needed_before;
            self.none_beneath = false;
        }
        entry.condemned = Some(CloseReason::BeyondReset);
        self.sound_return(entry, now, actions);
    }

    pub(super) fn prove(&self, entry: &mut Entry<C>, now: Instant) {
        // A doubt may have come between the answer and the lock. This proof does not settle it.
        let is_older = self.doubted_at.is_some_and(|at| at > now);
        entry.proved = Proof { at: now, epoch: self.epoch - u64::from(is_older) };
        entry.fresh_until = after(now, self.rules.check_after);
    }

    /// Whether the suspicion that this question raised is the last one.
    fn hangs_on(&self, question: Question) -> bool {
        question.needed_since == self.epoch_needed && question.needed_before < question.needed_since
    }

    fn distrust(&mut self, now: Instant) {
        self.epoch += 1;
        self.epoch_needed = self.epoch;
        self.doubted_at = self.doubted_at.max(Some(now));
        self.fast.recall();
    }

    fn forget_the_server(&mut self) {
        self.hear_of_answers();
        self.heard_before_doubt = self.answered_at.max(self.opened_at);
    }
}
