//! The assertions about slow calls: which connections are checked meanwhile, which calls are given up, and how many openings begin.

use super::jobs::{Job, Work};
use super::world::World;
use crate::slots::SlotId;
use crate::state::promises::PromiseKind;
use std::time::Duration;

impl World {
    /// While a request waits, as many checks are in time as there are waiters, and an alarm is set for each call.
    pub(super) fn check_patience(&self) {
        let tally = self.state.promises.tally();
        // The woken waiter finds the connections that have become stale meanwhile.
        if !self.somebody_comes() && !self.state.idle.is_empty() && self.state.fresh(self.now) == 0 {
            let asked = tally.asked_in_time;
            assert!(asked >= self.waiting.len(), "{asked} are being checked while some are idle: {}", self.summary());
        }
        if let Some(moment) = self.state.promises.next_moment() {
            let by = moment.max(self.now);
            assert!(self.state.alarm.is_some_and(|at| at <= by), "no alarm for a call that may be late");
        }
        let asks = |job: &&Job| matches!(job.work, Work::Check(_) | Work::Reset(_)) && job.fate.is_none();
        assert_eq!(self.jobs.iter().filter(asks).count(), tally.asked, "the questions under way are counted");
        let check = self.state.patience.spans(PromiseKind::Check);
        assert!(SHORTEST_LATE <= check.late && check.late <= check.lost, "{check:?}");
        assert!(check.lost <= self.config.check_timeout, "{check:?}");
    }

    /// A call is given up for a waiter. Asserts that this is allowed.
    pub(super) fn check_abort(&self, slot: SlotId) {
        let Some(job) = self.jobs.iter().find(|job| job.slot == slot) else { return };
        assert!(!self.state.queue.is_empty() || self.book.tried, "given up for nobody");
        let in_vain = self.book.trouble.is_some_and(|trouble| self.now < trouble.retry_at);
        assert!(!in_vain, "given up for an opening that the gate forbids");
        if matches!(job.work, Work::Close(_)) {
            return;
        }
        assert!(self.now - job.began >= SHORTEST_LOST, "given up after {:?}", self.now - job.began);
        assert!(self.book.answered_at.is_none_or(|at| at <= job.began), "given up though others answer");
        if self.book.opened_at.is_none_or(|at| at <= job.began) {
            let opens = |job: &&Job| job.fate.is_none() && matches!(job.work, Work::Open { .. });
            let others = self.jobs.iter().filter(opens).count();
            assert_eq!(
                (others, self.state.promises.tally().aborting),
                (0, 1),
                "more than one call is given up to probe the server"
            );
        }
    }

    /// Without trouble there are at most as many attempts as waiters need, and two if the server's state is unknown. This attempt is
    /// already counted.
    pub(super) fn check_number_of_openings(&self) {
        let openings = self.state.promises.tally().openings;
        let waiting = self.state.queue.len() + usize::from(self.book.tried);
        let most = if self.state.gate.is_cold() { 2 } else { waiting.max(2) + self.config.min_idle as usize };
        assert!(openings <= most, "{openings} attempts where {waiting} wait: {}", self.summary());
    }
}

const SHORTEST_LATE: Duration = Duration::from_millis(25);
const SHORTEST_LOST: Duration = Duration::from_millis(250);
