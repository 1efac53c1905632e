//! What time alone does to the state: connections that grow old or lie idle, loans that last too long, clocks that jump.

use crate::entry::Entry;
use crate::reason::CloseReason;
use crate::slots::Phase;
use crate::state::State;
use crate::state::actions::{Action, Actions};
use crate::state::promises::Stall;
use crate::state::stalls::grace_after;
use crate::sync::after;
use std::time::{Duration, Instant};

impl<C, E> State<C, E> {
    /// The alarm rings that was ordered for `alarm`: calls fall due, and the maintenance if its time has come. `wall` is the wall
    /// clock.
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
        let wanted = self.alarm.take().unwrap_or(alarm);
        self.compare_clocks(now, wall);
        self.ring(wanted, now);
        match self.maintenance.filter(|&due| due > now) {
            Some(due) => self.want_alarm(due, actions),
            None => self.maintain(now, actions),
        }
    }

    /// Calls that are due by now are late or lost. An alarm that rings late shows that the process stood still: an answer that is
    /// there, and was not heard, comes first.
    fn ring(&mut self, alarm: Instant, now: Instant) {
        let by = now.saturating_duration_since(alarm);
        let stall = grace_after(by).map(|grace| Stall { by, until: now + grace });
        if let Some(stall) = stall.filter(|_| self.calm_until.is_none_or(|until| until + CALM_APART < now)) {
            self.calm_until = Some(stall.until);
        }
        self.promises.ring(now, stall);
    }

    /// The maintenance: closes what is expired or idle for too long, keeps the rest alive, reports leaks, and says when it is
    /// due again.
    fn maintain(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        self.maintenance = None;
        for entry in std::mem::take(&mut self.idle) {
            let idle_for = now.saturating_duration_since(entry.last_used);
            let surplus = self.slots.count(Phase::Idle) > self.rules.min_idle;
            if entry.is_expired(now) {
                self.close_entry(entry, CloseReason::Expired, now, actions);
            } else if idle_for >= self.rules.idle_timeout && surplus {
                self.close_entry(entry, CloseReason::Idle, now, actions);
            } else {
                self.idle.push(entry);
            }
        }
        let keepalive = self.keep_alive(now, actions);
        let idle = self.idle.iter().filter_map(|entry| self.ends(entry, now)).min();
        let leaks = self.report_leaks(now, actions);
        if let Some(due) = keepalive.into_iter().chain(idle).chain(leaks).min() {
            self.want_maintenance(due, now, actions);
        }
    }

    /// Has one idle connection checked, if it is time. The checks are spread, for others must stay idle: one in each part of the
    /// period, and at once no more than half of what is idle, nor than there may be calls that nobody waits for. Each is checked
    /// before its period is over, so that of many that were proved together the first comes early. Returns when the next is due.
    fn keep_alive(&mut self, now: Instant, actions: &mut Actions<C, E>) -> Option<Instant> {
        if self.rules.keepalive == Duration::MAX || self.idle.is_empty() {
            return None;
        }
        let parts = u32::try_from(self.rules.max_size).unwrap_or(u32::MAX).saturating_mul(2);
        let apart = self.rules.keepalive / parts;
        let mut due = self.keepalive_due(apart)?;
        let checking = self.slots.count(Phase::Checking);
        let bearable = self.bears_unawaited() && (checking == 0 || 2 * (checking + 1) <= checking + self.idle.len());
        if due <= now && bearable && self.keepalive_at.is_none_or(|at| at <= now) {
            let oldest = (0..self.idle.len()).min_by_key(|&place| self.idle[place].proved.at)?;
            let entry = self.idle.remove(oldest);
            self.check(entry, now, actions);
            self.keepalive_at = after(now, apart);
            due = self.keepalive_due(apart)?;
        }
        // No call that ends has this looked at again: so it is done after a while.
        let rest = if bearable { SHORTEST_APART } else { apart.clamp(SHORTEST_APART, LONGEST_REST) };
        Some(due.max(self.keepalive_at.unwrap_or(now)).max(now + rest))
    }

    /// By when the first must be checked, if one is in each part and each in time.
    fn keepalive_due(&self, apart: Duration) -> Option<Instant> {
        let mut proved: Vec<Instant> = self.idle.iter().map(|entry| entry.proved.at).collect();
        proved.sort_unstable();
        let by = |(place, at)| after(at, self.rules.keepalive - apart * place);
        (0..).zip(proved).filter_map(by).min()
    }

    /// Does the maintenance that is ordered come in time for this idle connection? It comes within `idle_timeout`, so for one that
    /// was used just now nothing need be computed: this is asked at each return.
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
            // The checks of all that may be idle take half a period.
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
        // At or below min_idle it stays though its time is over; then it is looked at again a period later.
        let ends = ends.filter(|&ends| ends > now).or_else(|| after(now, self.rules.idle_timeout));
        entry.expires.into_iter().chain(ends).min()
    }

    /// Orders the maintenance for `due`, but within `idle_timeout`: what comes back meanwhile relies on that.
    pub(super) fn want_maintenance(&mut self, due: Instant, now: Instant, actions: &mut Actions<C, E>) {
        if self.maintenance.is_none_or(|maintenance| due < maintenance) {
            let due = after(now, self.rules.idle_timeout).map_or(due, |latest| due.min(latest));
            self.maintenance = Some(due);
            self.want_alarm(due, actions);
        }
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
            self.suspect(now);
        }
        jumped
    }
}

/// How long after nothing fell due that may be so again.
const CALM_APART: Duration = Duration::from_secs(1);

/// However many connections there are to keep alive, the maintenance rests between two.
const SHORTEST_APART: Duration = Duration::from_millis(1);
/// How long it rests at most while no check may begin.
const LONGEST_REST: Duration = Duration::from_millis(20);
/// Clocks that drift apart by more than this were not drifting.
const FREEZE: Duration = Duration::from_secs(1);
