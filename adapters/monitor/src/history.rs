//! What the charts show: for each pool a point for each second of the last five minutes in which somebody looked.

use crate::pools::Sight;
use cabrank::Stats;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct History(HashMap<u64, Line>);

#[derive(Default)]
struct Line {
    /// The counters at the last look, and when that was.
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

/// One second: what was there at its last look, the most who waited, and what happened in it.
#[derive(Clone, Copy)]
struct Point {
    second: u64,
    lent: u32,
    waiting: u32,
    longest_wait: Duration,
    happened: Counters,
}

impl History {
    /// A look, so long after the first that there ever was.
    pub(crate) fn add(&mut self, at: Duration, sights: &[Sight]) {
        self.0.retain(|key, _| sights.iter().any(|sight| sight.key == *key));
        for sight in sights {
            self.0.entry(sight.key).or_default().add(at, sight);
        }
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
    fn add(&mut self, at: Duration, sight: &Sight) {
        let counters = Counters::of(&sight.now.stats);
        // Nobody has looked for a while: what happened meanwhile belongs to no second.
        let before = self.before.replace((counters, at)).filter(|(_, then)| at.saturating_sub(*then) <= GAP);
        let Some((before, _)) = before else {
            self.end_second();
            return;
        };
        let second = at.as_secs();
        if self.now.is_some_and(|point| point.second != second) {
            self.end_second();
        }
        let (waiting, longest_wait, happened) = (0, Duration::ZERO, Counters::default());
        let point = self.now.get_or_insert(Point { second, lent: 0, waiting, longest_wait, happened });
        point.lent = sight.now.stats.in_use;
        point.waiting = point.waiting.max(sight.now.stats.waiting);
        let first = sight.now.waiters.first().map_or(Duration::ZERO, |waiter| waiter.waited);
        point.longest_wait = point.longest_wait.max(first);
        point.happened.add(counters.since(before));
    }

    fn end_second(&mut self) {
        self.points.extend(self.now.take());
        while self.points.len() > KEPT {
            self.points.pop_front();
        }
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
        let Self { second, lent, waiting, longest_wait, happened } = self;
        let Counters { loans, waited, unserved, opened, failed, closed } = happened;
        let longest_wait = longest_wait.as_millis() as u64;
        json!([second, lent, waiting, longest_wait, loans, waited, unserved, opened, failed, closed])
    }
}

/// Five minutes.
const KEPT: usize = 300;
const GAP: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use cabrank::Pool;
    use cabrank_testing::fake::FakeServer;

    #[test]
    fn no_more_than_five_minutes_are_kept_however_often_somebody_comes_and_goes() {
        let pool = Pool::builder().build_lazy(FakeServer::new().manager()).expect("a pool");
        let mut history = History::default();
        let mut look = |second| {
            let sight = Sight { key: 1, name: String::new(), now: pool.overview() };
            history.add(Duration::from_secs(second), &[sight]);
        };
        (0..1_000).for_each(|time| {
            look(10 * time);
            look(10 * time + 1);
        });
        assert_eq!(history.0[&1].points.len(), KEPT);
    }
}
