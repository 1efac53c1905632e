//! The invariants after every settling and at the end of each run, whatever the scenario. A broken one ends the run at once.

use super::calls::Work;
use super::server::LineId;
use super::world::{Told, World};
use crate::slots::{Phase, SlotId};
use crate::state::actions::Action;
use std::time::Duration;

impl World {
    pub(super) fn assert_settled(&self, actions: &[Action<LineId, Told>]) {
        let state = &self.state;
        let (taken, waiting) = (state.slots.taken(), state.queue.len());
        assert!(taken <= state.rules.max_size, "{taken} slots are taken");
        if actions.iter().any(|action| matches!(action, Action::Open(_))) {
            self.assert_openings(waiting);
        }
        for action in actions {
            if let Action::Abort(slot, _) = action {
                self.assert_abort(*slot);
            }
        }
        if waiting == 0 {
            return;
        }
        // Idle connections first: as many are checked as there are waiters.
        let tally = state.promises.tally();
        let nothing_to_ask = state.idle.is_empty() || state.fresh(self.now) > 0;
        assert!(
            nothing_to_ask || tally.asked_in_time >= waiting,
            "an idle connection is not being checked: {}",
            self.state_in_short()
        );
        // Nobody waits forever: a call or a loan is under way, or an alarm is set.
        let busy = taken > state.slots.count(Phase::Idle);
        assert!(busy || state.alarm.is_some(), "{waiting} wait for nothing: {}", self.state_in_short());
        if let Some(next) = state.promises.next_moment() {
            let in_time = state.alarm.is_some_and(|alarm| alarm <= next.max(self.now));
            assert!(in_time, "a call falls due and no alarm rings: {}", self.state_in_short());
        }
    }

    /// After all waiters have left, each loan has ended or is out, and each session has a record.
    pub(super) fn assert_nothing_is_lost(&self) {
        let (stats, state) = (self.state.stats(), &self.state);
        let out = self.callers.iter().filter(|caller| caller.loan.is_some()).count();
        let loans = stats.checked_out_at_once + stats.checked_out_after_waiting - stats.rejected_at_checkout;
        assert_eq!(loans, stats.returned + out as u64, "borrowed, returned, and out: {stats:?}");
        assert_eq!(stats.in_use as usize, out, "{stats:?}");
        assert!(state.queue.is_empty() && state.tasks.next_moment().is_none(), "a waiter is left: {stats:?}");
        assert_eq!(stats.cancelled, self.dropped, "{stats:?}");
        if self.calls.is_empty() {
            assert_eq!(self.server.sessions(), stats.open as usize, "sessions without a record: {stats:?}");
        }
    }

    /// A slow server gets less load, not more.
    fn assert_openings(&self, waiting: usize) {
        let state = &self.state;
        let most = if state.gate.has_trouble() {
            usize::MAX
        } else if state.gate.is_cold() {
            2
        } else {
            waiting.max(2) + state.rules.min_idle
        };
        let openings = state.slots.count(Phase::Opening);
        assert!(openings <= most, "{openings} attempts at once, at most {most}: {}", self.state_in_short());
    }

    /// A check or a reset is given up only if it has been under way for long, no answer has come since it began, and either an opening
    /// has succeeded or it is the only one given up, to probe the server.
    fn assert_abort(&self, slot: SlotId) {
        let Some(call) = self.calls.values().find(|call| call.slot == slot) else { return };
        let (Some(began), Work::Check(_) | Work::Reset(_)) = (call.since(), &call.work) else { return };
        assert!(self.now - began >= Duration::from_millis(250), "impatient: {}", self.state_in_short());
        assert!(self.last_answer.is_none_or(|at| at <= began), "others are answered: {}", self.state_in_short());
        if self.last_opened.is_none_or(|at| at <= began) {
            let cuts = self.state.promises.tally().aborting;
            let alone = cuts == 1 && self.state.slots.count(Phase::Opening) == 0;
            assert!(alone, "{cuts} given up without proof that the server answers: {}", self.state_in_short());
        }
    }

    pub(super) fn state_in_short(&self) -> String {
        let count = |phase| self.state.slots.count(phase);
        format!(
            "wait {:>2} idle {:>2} lent {:>2} open {:>2} check {:>2} reset {:>2} close {:>2} gone {:>2}",
            self.state.queue.len(),
            count(Phase::Idle),
            count(Phase::Lent),
            count(Phase::Opening),
            count(Phase::Checking),
            count(Phase::Resetting),
            count(Phase::Closing),
            count(Phase::Aborted),
        )
    }
}
