//! The charts' data: for each pool one point for each second of the last five minutes.

use cabrank::Stats;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct History(HashMap<u64, Line>);

#[derive(Default)]
struct Line {
    /// The counters at the last sample, and the time of that sample.
    before: Option<(Counters, Duration)>,
    /// The second that has not ended.
    now: Option<Point>,
    points: VecDeque<Point>,
}

#[derive(Clone, Copy, Default)]
struct Counters {
    loans: u64,
    waited: u64,
    unserved: u64,
    opened: u64,
    failed: u64,
    closed: u64,
}

/// One second: the state at its last sample, the maximum number of waiters, and the events in it.
#[derive(Clone, Copy)]
struct Point {
    second: u64,
    lent: u32,
    waiting: u32,
    happened: Counters,
}

impl History {
    /// Adds the numbers of all pools, at this time since the beginning.
    pub(crate) fn add<'s>(&mut self, at: Duration, pools: impl IntoIterator<Item = (u64, &'s Stats)>) {
        for (key, stats) in pools {
            self.0.entry(key).or_default().add(at, stats);
        }
        // A pool that is gone takes its line with it.
        self.0.retain(|_, line| line.before.is_some_and(|(_, then)| then == at));
    }

    /// The newest points of a pool, the oldest first.
    pub(crate) fn newest(&self, key: u64, most: usize) -> Vec<Value> {
        let Some(line) = self.0.get(&key) else { return Vec::new() };
        let skipped = line.points.len().saturating_sub(most);
        line.points.iter().skip(skipped).map(|point| point.to_json()).collect()
    }

    /// All points of all pools.
    pub(crate) fn to_json(&self) -> Value {
        let lines = self.0.keys().map(|&key| json!({ "key": key, "points": self.newest(key, KEPT) }));
        json!({ "pools": lines.collect::<Vec<_>>() })
    }
}

impl Line {
    fn add(&mut self, at: Duration, stats: &Stats) {
        let counters = Counters::of(stats);
        let second = at.as_secs();
        if self.now.is_some_and(|point| point.second != second) {
            self.points.extend(self.now.take());
            while self.points.len() > KEPT {
                self.points.pop_front();
            }
        }
        // After a gap the events in between belong to no second.
        let before = self.before.replace((counters, at)).filter(|(_, then)| at.saturating_sub(*then) <= GAP);
        let Some((before, _)) = before else { return };
        let point = self.now.get_or_insert(Point { second, lent: 0, waiting: 0, happened: Counters::default() });
        point.lent = stats.in_use;
        point.waiting = point.waiting.max(stats.waiting);
        point.happened.add(counters.since(before));
    }
}

impl Counters {
    fn of(stats: &Stats) -> Self {
        let loans = stats.checked_out_at_once + stats.checked_out_after_waiting;
        Self {
            loans: loans.saturating_sub(stats.rejected_at_checkout),
            waited: stats.checked_out_after_waiting,
            unserved: stats.timed_out + stats.overloaded + stats.refused + stats.refused_closed,
            opened: stats.opened,
            failed: stats.open_failures,
            closed: stats.closed.total(),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            loans: self.loans.saturating_sub(before.loans),
            waited: self.waited.saturating_sub(before.waited),
            unserved: self.unserved.saturating_sub(before.unserved),
            opened: self.opened.saturating_sub(before.opened),
            failed: self.failed.saturating_sub(before.failed),
            closed: self.closed.saturating_sub(before.closed),
        }
    }

    fn add(&mut self, more: Self) {
        self.loans += more.loans;
        self.waited += more.waited;
        self.unserved += more.unserved;
        self.opened += more.opened;
        self.failed += more.failed;
        self.closed += more.closed;
    }
}

impl Point {
    /// In the order in which the page reads it.
    fn to_json(self) -> Value {
        let Self { second, lent, waiting, happened } = self;
        let Counters { loans, waited, unserved, opened, failed, closed } = happened;
        json!([second, lent, waiting, loans, waited, unserved, opened, failed, closed])
    }
}

/// Five minutes.
const KEPT: usize = 300;
const GAP: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_samples_leaves_five_minutes_of_points() {
        let mut history = History::default();
        let stats = Stats::default();
        for second in 0..86_400 {
            history.add(Duration::from_millis(second * 1_000 + 500), [(1, &stats)]);
        }
        let line = &history.0[&1];
        assert_eq!((line.points.len(), line.points[0].second, line.points[299].second), (300, 86_099, 86_398));
        assert!(line.points.capacity() < 1_024, "{}", line.points.capacity());
    }

    #[test]
    fn stretches_with_gaps_between_them_are_bounded_too() {
        let mut history = History::default();
        let stats = Stats::default();
        for minute in 0..1_000 {
            history.add(Duration::from_secs(minute * 60), [(1, &stats)]);
            history.add(Duration::from_secs(minute * 60 + 1), [(1, &stats)]);
        }
        assert_eq!(history.0[&1].points.len(), 300);
    }

    #[test]
    fn what_happened_in_a_gap_belongs_to_no_second() {
        let mut history = History::default();
        for (second, opened) in [(0, 0), (1, 2), (2, 3), (60, 100), (61, 104), (62, 104)] {
            let mut stats = Stats::default();
            stats.opened = opened;
            history.add(Duration::from_secs(second), [(1, &stats)]);
        }
        let opened: Vec<_> = history.0[&1].points.iter().map(|point| (point.second, point.happened.opened)).collect();
        assert_eq!(opened, [(1, 2), (2, 1), (61, 4)]);
    }

    #[test]
    fn a_pool_that_is_gone_takes_its_line_with_it() {
        let mut history = History::default();
        let stats = Stats::default();
        history.add(Duration::from_secs(1), [(1, &stats), (2, &stats)]);
        history.add(Duration::from_secs(2), [(2, &stats)]);
        assert_eq!(history.0.keys().collect::<Vec<_>>(), [&2]);
        history.add(Duration::from_secs(3), []);
        assert!(history.0.is_empty());
    }
}
