//! The effects of time alone on the state: connections that grow old or lie idle, loans that last too long, clocks that jump.

use crate::entry::Entry;
use crate::reason::CloseReason;
use crate::slots::Phase;
use crate::state::State;
use crate::state::actions::{Action, Actions};
use crate::state::promises::Stall;
use crate::state::stalls::grace_after;
use crate::sync::after;
use std::ops::Range;
use std::time::{Duration, Instant};

/// A round of the maintenance over the idle connections, the longest idle first, while it is under way.
pub(super) struct Round {
    /// The round has looked at the connections below this place.
    pub(super) place: usize,
    /// When the round continues.
    at: Instant,
    /// When the next round is due, as far as this one has seen and ordered.
    due: Option<Instant>,
}

impl<C, E> State<C, E> {
    /// The alarm ordered for `alarm` rings: calls become due, and so does the maintenance if its time has come. `wall` is the wall
    /// clock.
    ///
    /// The timer keeps one alarm, the earliest of those ordered, and each ring consumes it. Threads that order alarms concurrently reach
    /// the timer in any order, so the one that rings may be older than the one wanted now. Then that one is ordered again.
    pub(crate) fn tick(&mut self, alarm: Instant, now: Instant, wall: Duration, actions: &mut Actions<C, E>) {
        debug_assert!(alarm <= now, "BUG: an alarm rang before its time");
        if self.closed {
            return;
        }
        if let Some(wanted) = self.alarm.filter(|&wanted| wanted > now) {
            return actions.push(Action::Alarm(wanted));
        }
        let wanted = self.alarm.take().unwrap_or(alarm);
        self.compare_clocks(now, wall);
        let stall = self.ring(wanted, now);
        self.ring_tasks(now, stall, actions);
        match self.round.as_ref().map(|round| round.at).or(self.maintenance).filter(|&due| due > now) {
            Some(due) => self.want_alarm(due, actions),
            None => self.maintain(now, actions),
        }
    }

    /// Marks the calls that are due by now as late or lost. An alarm that rings late shows that the process was suspended: then answers
    /// that have arrived but were not processed come first.
    fn ring(&mut self, alarm: Instant, now: Instant) -> Option<Stall> {
        let by = now.saturating_duration_since(alarm);
        let stall = grace_after(by).map(|grace| Stall { by, until: now + grace });
        if let Some(stall) = stall.filter(|_| self.calm_until.is_none_or(|until| until + CALM_APART < now)) {
            self.calm_until = Some(stall.until);
        }
        self.promises.ring(now, stall);
        stall
    }

    /// The maintenance: closes connections that are expired or idle for too long, keeps the others alive, reports leaks, and orders the
    /// next maintenance.
    ///
    /// All this happens under the lock, so each ring looks at `MOST_LOOKS` idle connections at most. With more of them the maintenance
    /// is a round of several rings.
    fn maintain(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        self.maintenance = None;
        self.shut(now, actions);
        let (place, due) = self.round.take().map_or((0, None), |round| (round.place, round.due));
        let idle = self.idle.len();
        let window = self.close_ended(place.min(idle)..(place + MOST_LOOKS).min(idle), now, actions);
        let (window, keepalive) = self.keep_alive(window, now, actions);
        let ends = self.idle[window.clone()].iter().filter_map(|entry| self.ends(entry, now)).min();
        let due = [due, ends, keepalive].into_iter().flatten().min();
        if window.end < self.idle.len() {
            return self.go_on(window, keepalive, due, now, actions);
        }
        let leaks = self.report_leaks(now, actions);
        if let Some(due) = due.into_iter().chain(leaks).min() {
            self.want_maintenance(due, now, actions);
        }
    }

    /// Orders the next ring of this round. The round stays at the same connections if another of them must be checked by then.
    fn go_on(
        &mut self,
        window: Range<usize>,
        keepalive: Option<Instant>,
        due: Option<Instant>,
        now: Instant,
        actions: &mut Actions<C, E>,
    ) {
        let next = now + SHORTEST_APART;
        let stays = keepalive.filter(|&at| at <= next.max(self.keepalive_at.unwrap_or(next)));
        let (place, at) = stays.map_or((window.end, next), |at| (window.start, at));
        self.round = Some(Round { place, at, due });
        self.want_alarm(at, actions);
    }

    /// Closes those of these idle connections that are expired or idle for too long. Returns where the others are now.
    fn close_ended(&mut self, window: Range<usize>, now: Instant, actions: &mut Actions<C, E>) -> Range<usize> {
        if self.idle[window.clone()].iter().all(|entry| self.ended(entry, now).is_none()) {
            return window;
        }
        let (looked, mut kept): (Vec<_>, Vec<_>) = (self.idle.drain(window.clone()).collect(), Vec::new());
        for entry in looked {
            match self.ended(&entry, now) {
                Some(reason) => self.close_entry(entry, reason, now, actions),
                None => kept.push(entry),
            }
        }
        let end = window.start + kept.len();
        self.idle.splice(window.start..window.start, kept);
        window.start..end
    }

    fn ended(&self, entry: &Entry<C>, now: Instant) -> Option<CloseReason> {
        let is_surplus = || self.slots.count(Phase::Idle) > self.rules.min_idle;
        if entry.is_expired(now) {
            Some(CloseReason::Expired)
        } else if now.saturating_duration_since(entry.last_used) >= self.rules.idle_timeout && is_surplus() {
            Some(CloseReason::Idle)
        } else {
            None
        }
    }

    /// Starts a keepalive check of one of these idle connections, if one is due. The checks are spread, because the other connections
    /// must stay idle: one check in each part of the period, and at once no more than half of the idle connections, nor more than the
    /// bound for calls without a waiter. Each connection is checked before its period ends, so of many that were proved together the
    /// first is checked early. Returns where they are now, and when the next check is due.
    fn keep_alive(
        &mut self,
        window: Range<usize>,
        now: Instant,
        actions: &mut Actions<C, E>,
    ) -> (Range<usize>, Option<Instant>) {
        if self.rules.keepalive == Duration::MAX {
            return (window, None);
        }
        let Some(mut due) = self.keepalive_due(window.clone()) else { return (window, None) };
        let (mut window, apart) = (window, self.keepalive_part(self.rules.max_size));
        let checking = self.slots.count(Phase::Checking);
        let bearable = self.bears_unawaited() && (checking == 0 || 2 * (checking + 1) <= checking + self.idle.len());
        if due <= now && bearable && self.keepalive_at.is_none_or(|at| at <= now) {
            let oldest = window.clone().min_by_key(|&place| self.idle[place].proved.at).expect("one is due");
            let entry = self.idle.remove(oldest);
            window.end -= 1;
            self.check(entry, now, actions);
            self.keepalive_at = after(now, apart);
            match self.keepalive_due(window.clone()) {
                Some(next) => due = next,
                None => return (window, None),
            }
        }
        // The end of a call does not trigger another look, so this looks again after a while.
        let rest = if bearable { SHORTEST_APART } else { apart.clamp(SHORTEST_APART, LONGEST_REST) };
        (window, Some(due.max(self.keepalive_at.unwrap_or(now)).max(now + rest)))
    }

    /// When the first of these must be checked, with one check in each part and each in time. If there are more idle connections than
    /// these, the others have their turns in the same part.
    fn keepalive_due(&self, window: Range<usize>) -> Option<Instant> {
        let apart = self.keepalive_part(self.rules.max_size.min(MOST_LOOKS));
        let turn = u32::from(self.idle.len() > MOST_LOOKS);
        let mut proved: Vec<Instant> = self.idle[window].iter().map(|entry| entry.proved.at).collect();
        proved.sort_unstable();
        let by = |(place, at)| after(at, self.rules.keepalive.saturating_sub(apart * place));
        (turn..).zip(proved).filter_map(by).min()
    }

    /// The time between two checks, with which those of `count` connections take half a period.
    fn keepalive_part(&self, count: usize) -> Duration {
        self.rules.keepalive / u32::try_from(count).unwrap_or(u32::MAX).saturating_mul(2)
    }

    /// Whether the ordered maintenance comes in time for this idle connection. It comes within `idle_timeout`, so for a connection that
    /// was used just now nothing needs to be computed. Each return asks this.
    #[inline]
    pub(super) fn is_seen_to(&self, entry: &Entry<C>, now: Instant) -> bool {
        let is_in_time = |ordered| entry.last_used == now && entry.expires.is_none_or(|expires| ordered <= expires);
        self.rules.keepalive == Duration::MAX && self.maintenance.is_some_and(is_in_time)
    }

    /// Orders the maintenance that this idle connection needs.
    pub(super) fn see_to(&mut self, entry: &Entry<C>, now: Instant, actions: &mut Actions<C, E>) {
        let ends = self.ends(entry, now);
        let due = match self.rules.keepalive {
            Duration::MAX => ends,
            // The checks of all connections that may be idle take half a period.
            keepalive => ends.into_iter().chain(after(entry.proved.at.max(now), keepalive / 2)).min(),
        };
        if let Some(due) = due {
            self.want_maintenance(due, now, actions);
        }
    }

    /// When this idle connection may be closed.
    fn ends(&self, entry: &Entry<C>, now: Instant) -> Option<Instant> {
        if self.rules.idle_timeout == Duration::MAX {
            return entry.expires;
        }
        let ends = after(entry.last_used, self.rules.idle_timeout);
        // At or below `min_idle` it stays open after its time-out, and is looked at again one period later.
        let ends = ends.filter(|&ends| ends > now).or_else(|| after(now, self.rules.idle_timeout));
        entry.expires.into_iter().chain(ends).min()
    }

    /// Orders the maintenance for `due`, or at the latest after `idle_timeout`, because connections that return meanwhile rely on that.
    /// A round under way only records `due` for the next: it may already have passed the place of a connection that returns.
    pub(super) fn want_maintenance(&mut self, due: Instant, now: Instant, actions: &mut Actions<C, E>) {
        if let Some(round) = &mut self.round {
            round.due = round.due.into_iter().chain([due]).min();
        } else if self.maintenance.is_none_or(|maintenance| due < maintenance) {
            let due = after(now, self.rules.idle_timeout).map_or(due, |latest| due.min(latest));
            self.maintenance = Some(due);
            self.want_alarm(due, actions);
        }
    }

    /// Reports each loan that is older than `leak_after` once. Returns when the next report is due.
    fn report_leaks(&mut self, now: Instant, actions: &mut Actions<C, E>) -> Option<Instant> {
        if self.rules.leak_after == Duration::MAX {
            return None;
        }
        let mut next: Option<Instant> = None;
        for record in self.slots.iter_mut().filter(|record| record.phase == Phase::Lent && !record.leak_reported) {
            let holder = record.holder(now);
            // A connection without a holder may get one at this moment, without the lock.
            let left =
                self.rules.leak_after.saturating_sub(holder.as_ref().map_or(Duration::ZERO, |holder| holder.held_for));
            match holder {
                Some(holder) if left.is_zero() => {
                    record.leak_reported = true;
                    self.counters.leaks += 1;
                    actions.push(Action::ReportLeak(holder));
                }
                _ => next = next.into_iter().chain(after(now, left)).min(),
            }
        }
        next
    }

    /// A gap between the two clocks shows that the process was frozen or the machine asleep: connections that look young may be long
    /// dead. Returns whether there was one.
    pub(crate) fn compare_clocks(&mut self, now: Instant, wall: Duration) -> bool {
        if now <= self.clocks.0 {
            return false; // A thread that read the clocks later came first.
        }
        let (then, wall_then) = std::mem::replace(&mut self.clocks, (now, wall));
        let gap = wall.abs_diff(wall_then).abs_diff(now.saturating_duration_since(then));
        let jumped = gap > FREEZE || wall < wall_then;
        if jumped {
            self.suspect(now);
        }
        jumped
    }
}

/// After a calm, the next may begin this much later.
const CALM_APART: Duration = Duration::from_secs(1);

/// How many idle connections each ring looks at.
const MOST_LOOKS: usize = 256;
/// The shortest rest of the maintenance between two rings, however many connections it must keep alive.
const SHORTEST_APART: Duration = Duration::from_millis(1);
/// The longest rest while no check may begin.
const LONGEST_REST: Duration = Duration::from_millis(20);
/// The clocks do not drift apart by more than this.
const FREEZE: Duration = Duration::from_secs(1);
