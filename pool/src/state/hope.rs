//! Whether there is hope of a connection while new ones are refused for good: only if loans return.

use crate::histogram::Mark;
use crate::slots::Phase;
use crate::state::State;
use crate::stats::Stats;
use std::time::{Duration, Instant};

/// A summary of the loans, because a look must not walk over all of them.
#[derive(Default)]
pub(super) struct Hope {
    /// The loans that had ended one to two minutes ago, and those that had ended at the last mark.
    before: Option<Mark>,
    lately: Option<Mark>,
    /// When the next mark is due.
    next: Option<Instant>,
}

impl Hope {
    /// Called while a request waits or connections are missing: sets a mark now and then, to separate the recent loans from the others.
    #[inline]
    pub(super) fn look(&mut self, counters: &Stats, now: Instant) {
        if self.next.is_none_or(|next| next <= now) {
            self.before = self.lately.replace(counters.use_time.mark(SHORTEST_HOPE));
            self.next = Some(now + RECENT);
        }
    }

    fn recent_use(&self, counters: &Stats) -> Duration {
        match &self.before {
            Some(before) => counters.use_time.quantile_since(before, 0.99).unwrap_or_default(),
            None => counters.use_time.quantile(0.99),
        }
    }
}

impl<C, E> State<C, E> {
    /// Whether no connection is available, and there will be none before the fault is fixed. A loan that is out for much longer than
    /// loans usually are does not count.
    pub(super) fn is_hopeless(&mut self, now: Instant) -> bool {
        self.is_bare(now) && (self.slots.count(Phase::Lent) == 0 || self.hope_ends(now).is_some_and(|ends| ends <= now))
    }

    /// Whether new connections are refused for good, and all open ones are lent.
    fn is_bare(&self, now: Instant) -> bool {
        self.gate.refuses(now) && self.slots.open() == self.slots.count(Phase::Lent)
    }

    /// Until when one of the loans may return, if all depends on that.
    pub(super) fn hope_ends(&mut self, now: Instant) -> Option<Instant> {
        if !self.is_bare(now) {
            return None;
        }
        // A lent connection without a loan is on its way back at this moment.
        let lent = self.metered().filter(|(phase, _)| *phase == Phase::Lent);
        let fast = lent.map(|(_, meter)| meter.loan().map_or(now, |loan| loan.since)).max();
        let since = self.slots.youngest_loan()?.since;
        let since = fast.map_or(since, |fast| since.max(fast));
        Some(since + self.hope.recent_use(&self.counters).max(SHORTEST_HOPE))
    }

    /// Sets a mark, if one is due.
    pub(super) fn look_for_hope(&mut self, now: Instant) {
        self.hope.look(&self.counters, now);
    }

    /// How many loans have begun under the lock.
    pub(super) fn loans(&self) -> u64 {
        self.counters.checked_out_at_once - self.fast.counted().0 + self.counters.checked_out_after_waiting
    }
}

const RECENT: Duration = Duration::from_secs(60);
/// However short loans are, one may take a second now and then.
const SHORTEST_HOPE: Duration = Duration::from_secs(1);
