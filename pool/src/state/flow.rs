//! How fast loans return while requests wait: a connection that will return need not be opened.

use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct Flow {
    /// When the watch began. `None` while no request waits.
    begun: Option<Instant>,
    part: Option<Part>,
    /// Returns per second in the last part of the watch; `None` before the first part has ended.
    rate: Option<f64>,
    /// How many loans had begun at the last look, and when the last of them was seen.
    loans: u64,
    last_loan: Option<Instant>,
    /// How many loans will have ended by the time that an opening ends, if there is an estimate.
    expected: Option<usize>,
    /// When there can be one.
    next_look: Option<Instant>,
}

/// A part of the watch: its beginning and end, and how many loans had ended at its beginning.
#[derive(Clone, Copy)]
struct Part {
    since: Instant,
    ends: Instant,
    returned: u64,
}

/// The observed loans and the purpose of the estimate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    /// Connections that are lent.
    pub(super) lent: usize,
    /// How many loans have begun, and how many have ended.
    pub(super) loans: u64,
    pub(super) returned: u64,
    /// The mean time of a loan; zero if none has ended.
    pub(super) mean_use: Duration,
    pub(super) waiting: usize,
    /// The time of an opening.
    pub(super) opening: Duration,
}

impl Flow {
    /// Ends the watch: no request waits.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.begun = None;
    }

    /// Counts returns, once in each tenth of an opening. Called at every change of the pool while a request waits, and most of the time
    /// this is two comparisons. [`Self::estimate`] is for when something may be opened.
    #[inline]
    pub(super) fn watch(&mut self, sight: Sight, now: Instant) {
        if self.loans != sight.loans {
            (self.loans, self.last_loan) = (sight.loans, Some(now));
        }
        if sight.waiting == 0 || sight.lent == 0 {
            *self = Self { loans: self.loans, last_loan: self.last_loan, ..Self::default() };
        } else if self.begun.is_none() || self.part.is_none_or(|part| part.ends <= now) {
            self.turn(sight, now);
        }
    }

    /// Ends a part of the watch, or begins the watch.
    fn turn(&mut self, sight: Sight, now: Instant) {
        if self.begun.is_none() {
            (self.begun, self.part, self.rate) = (Some(now), None, None);
        }
        if let Some(part) = self.part {
            let watched = now.saturating_duration_since(part.since);
            self.rate = Some((sight.returned - part.returned) as f64 / watched.as_secs_f64());
        }
        let ends = now + (sight.opening / 10).max(SHORTEST_PART);
        self.part = Some(Part { since: now, ends, returned: sight.returned });
    }

    /// Estimates how many loans will return in time, from what was seen.
    pub(super) fn estimate(&mut self, sight: Sight, now: Instant) {
        let (Some(begun), Some(seen)) = (self.begun, self.rate) else {
            (self.expected, self.next_look) = (None, self.part.filter(|_| self.begun.is_some()).map(|part| part.ends));
            return;
        };
        let mean = sight.mean_use.as_secs_f64();
        let is_recent = |last| now.saturating_duration_since(last) <= sight.mean_use.saturating_mul(2);
        let told = if mean > 0.0 && self.last_loan.is_some_and(is_recent) { sight.lent as f64 / mean } else { 0.0 };
        let expected = (sight.opening.as_secs_f64() * seen.max(told)) as usize;
        // None has returned yet. Perhaps all will in the next moment, and soon enough for the waiters: the longer the loans, the fewer
        // waiters they can serve.
        let enough = begun + sight.opening.mul_f64(sight.lent as f64 / sight.waiting as f64);
        if expected == 0 && now < enough {
            (self.expected, self.next_look) = (None, Some(enough));
        } else {
            (self.expected, self.next_look) = (Some(expected), None);
        }
    }

    /// How many loans will have ended by the time that an opening ends. Without an estimate: more than any demand.
    pub(super) fn expected(&self) -> usize {
        self.expected.unwrap_or(usize::MAX)
    }

    /// When there can be an estimate; `None` once there is one, because then each change of the pool is a look.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.next_look
    }
}

/// Shorter parts show nothing: loans of a few milliseconds return in bursts.
const SHORTEST_PART: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn look(flow: &mut Flow, sight: Sight, now: Instant) {
        flow.watch(sight, now);
        flow.estimate(sight, now);
    }

    fn start() -> (Flow, Instant, Sight) {
        let (mut flow, now) = (Flow::default(), Instant::now());
        let sight = Sight { lent: 5, loans: 5, returned: 7, mean_use: Duration::ZERO, waiting: 20, opening: 100 * MS };
        look(&mut flow, sight, now);
        (flow, now, sight)
    }

    #[test]
    fn nothing_is_said_before_a_part_was_watched_and_then_what_came_back_in_it() {
        let (mut flow, now, sight) = start();
        assert_eq!((flow.expected(), flow.next_look()), (usize::MAX, Some(now + 10 * MS)));
        look(&mut flow, Sight { returned: 12, ..sight }, now + 10 * MS);
        assert_eq!((flow.expected(), flow.next_look()), (50, None));
    }

    #[test]
    fn loans_that_do_not_come_back_are_given_up_when_they_could_not_serve_those_who_wait_any_more() {
        let (mut flow, now, sight) = start();
        look(&mut flow, sight, now + 10 * MS);
        assert_eq!((flow.expected(), flow.next_look()), (usize::MAX, Some(now + 25 * MS)));
        // Another has begun, but how long loans take is not known yet.
        look(&mut flow, Sight { loans: 6, ..sight }, now + 25 * MS);
        assert_eq!((flow.expected(), flow.next_look()), (0, None));
    }

    #[test]
    fn a_young_loan_is_expected_back_after_the_mean_and_an_old_one_is_not() {
        let (mut flow, now, sight) = start();
        let sight = Sight { mean_use: 20 * MS, ..sight };
        for (at, expected) in [(10, 25), (40, 25), (41, 0)] {
            look(&mut flow, sight, now + at * MS);
            assert_eq!(flow.expected(), expected, "after {at} ms");
        }
    }

    #[test]
    fn what_came_back_while_nothing_could_be_opened_counts_when_something_can() {
        let (mut flow, now, sight) = start();
        for at in 1..=20 {
            flow.watch(Sight { returned: 7 + at, loans: 5 + at, ..sight }, now + at as u32 * MS);
        }
        flow.estimate(Sight { returned: 27, loans: 25, ..sight }, now + 20 * MS);
        assert_eq!((flow.expected(), flow.next_look()), (100, None));
    }

    #[test]
    fn when_nobody_waits_the_watch_begins_anew() {
        let (mut flow, now, sight) = start();
        look(&mut flow, sight, now + 30 * MS);
        assert_eq!(flow.expected(), 0);
        flow.clear();
        look(&mut flow, sight, now + 31 * MS);
        assert_eq!(flow.expected(), usize::MAX);
    }

    #[test]
    fn a_watch_that_begins_anew_goes_by_nothing_that_was_seen_before() {
        let (mut flow, now, sight) = start();
        look(&mut flow, Sight { returned: 12, ..sight }, now + 10 * MS);
        assert_eq!(flow.expected(), 50);
        flow.clear();
        for at in [20, 21] {
            look(&mut flow, Sight { returned: 12, ..sight }, now + at * MS);
            assert_eq!((flow.expected(), flow.next_look()), (usize::MAX, Some(now + 30 * MS)), "after {at} ms");
        }
    }

    #[test]
    fn where_nobody_waits_or_nothing_is_lent_nothing_is_expected_and_nothing_watched() {
        for (waiting, lent) in [(0, 5), (20, 0), (0, 0)] {
            let (mut flow, now, sight) = start();
            look(&mut flow, Sight { returned: 12, ..sight }, now + 10 * MS);
            for at in [20, 40] {
                look(&mut flow, Sight { returned: 12, waiting, lent, ..sight }, now + at * MS);
                assert_eq!((flow.expected(), flow.next_look()), (usize::MAX, None), "{waiting} wait, {lent} lent");
            }
        }
    }

    #[test]
    fn when_the_last_loan_began_is_known_though_nobody_waited_then() {
        for (began, expected) in [(0, 0), (70, 25)] {
            let (mut flow, now, sight) = start();
            let sight = Sight { mean_use: 20 * MS, ..sight };
            look(&mut flow, Sight { waiting: 0, ..sight }, now + 10 * MS);
            if began > 0 {
                look(&mut flow, Sight { waiting: 0, loans: 6, ..sight }, now + began * MS);
            }
            let sight = Sight { loans: 5 + u64::from(began > 0), ..sight };
            for at in [80, 110] {
                look(&mut flow, sight, now + at * MS);
            }
            assert_eq!(flow.expected(), expected, "the last began after {began} ms");
        }
    }
}
