//! What time alone does to the state: connections that grow old or lie idle, loans that last too long, clocks that jump.

use crate::entry::Entry;
use crate::reason::CloseReason;
use crate::slots::Phase;
use crate::state::State;
use crate::state::actions::{Action, Actions};
use crate::sync::after;
use std::time::{Duration, Instant};

impl<C, E> State<C, E> {
    /// The maintenance: closes what is expired or idle for too long, keeps the rest alive, reports leaks, and says when it is
    /// due again. `alarm` is the one that rang, `wall` the wall clock.
    ///
    /// The timer keeps one alarm, the earliest of those ordered, and each ring uses it up. Threads that order alarms side by side
    /// reach the timer in any order, so the one that rings may be older than what is wanted now: that is ordered anew then.
    pub(crate) fn tick(&mut self, alarm: Instant, now: Instant, wall: Duration, actions: &mut Actions<C, E>) {
        debug_assert!(alarm <= now, "BUG: an alarm rang before its time");
        if self.closed {
            return;
        }
        if let Some(wanted) = self.alarm.filter(|&wanted| wanted > now) {
            return actions.push(Action::Alarm(wanted));
        }
        self.alarm = None;
        self.compare_clocks(now, wall);
        for entry in std::mem::take(&mut self.idle) {
            let idle_for = now.saturating_duration_since(entry.last_used);
            let surplus = self.slots.count(Phase::Idle) > self.rules.min_idle;
            if entry.is_expired(now) {
                self.close_entry(entry, CloseReason::Expired, now, actions);
            } else if idle_for >= self.rules.idle_timeout && surplus {
                self.close_entry(entry, CloseReason::Idle, now, actions);
            } else if now.saturating_duration_since(entry.proved.at) >= self.rules.keepalive {
                self.check(entry, now, actions);
            } else {
                self.idle.push(entry);
            }
        }
        let due = self.idle.iter().filter_map(|entry| self.due(entry, now)).min();
        let leaks_due = self.report_leaks(now, actions);
        if let Some(due) = due.into_iter().chain(leaks_due).min() {
            self.want_alarm(due, actions);
        }
    }

    /// When the maintenance must look at this idle connection.
    #[inline]
    pub(super) fn due(&self, entry: &Entry<C>, now: Instant) -> Option<Instant> {
        let mut due = entry.expires;
        if self.rules.idle_timeout != Duration::MAX {
            let ends = after(entry.last_used, self.rules.idle_timeout);
            // At or below min_idle it stays though its time is over; then it is looked at again a period later.
            let ends = ends.filter(|&ends| ends > now).or_else(|| after(now, self.rules.idle_timeout));
            due = sooner(due, ends);
        }
        if self.rules.keepalive != Duration::MAX {
            due = sooner(due, after(entry.proved.at, self.rules.keepalive));
        }
        due
    }

    /// Reports each loan that is older than `leak_after` once. Returns when the next will be.
    fn report_leaks(&mut self, now: Instant, actions: &mut Actions<C, E>) -> Option<Instant> {
        if self.rules.leak_after == Duration::MAX {
            return None;
        }
        let mut next: Option<Instant> = None;
        for record in self.slots.iter_mut().filter(|record| record.phase == Phase::Lent && !record.leak_reported) {
            let Some(due) = after(record.since, self.rules.leak_after) else { continue };
            if due > now {
                next = Some(next.map_or(due, |next| next.min(due)));
                continue;
            }
            record.leak_reported = true;
            self.counters.leaks += 1;
            actions.push(Action::ReportLeak(record.holder(now)));
        }
        next
    }

    /// A gap between the two clocks means that the process was frozen or the machine asleep: connections that look young
    /// may be long dead. Returns whether there was one.
    pub(crate) fn compare_clocks(&mut self, now: Instant, wall: Duration) -> bool {
        if now <= self.clocks.0 {
            return false; // Read before others that came first.
        }
        let (then, wall_then) = std::mem::replace(&mut self.clocks, (now, wall));
        let gap = wall.abs_diff(wall_then).abs_diff(now.saturating_duration_since(then));
        let jumped = gap > FREEZE || wall < wall_then;
        if jumped {
            self.suspect();
        }
        jumped
    }
}

/// Whichever comes first; `None` never does.
#[inline]
fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Clocks that drift apart by more than this were not drifting.
const FREEZE: Duration = Duration::from_secs(1);
