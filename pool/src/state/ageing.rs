//! What time alone does to the state: connections that grow old or lie idle, loans that last too long, clocks that jump.

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

/// A round of the maintenance over what is idle, the longest idle first, as long as it is under way.
pub(super) struct Round {
    /// It has looked at those beneath.
    pub(super) place: usize,
    /// When it goes on.
    at: Instant,
    /// When the next round is due, by what was seen and ordered in this one.
    due: Option<Instant>,
}

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
        let stall = self.ring(wanted, now);
        self.ring_tasks(now, stall, actions);
        match self.round.as_ref().map(|round| round.at).or(self.maintenance).filter(|&due| due > now) {
            Some(due) => self.want_alarm(due, actions),
            None => self.maintain(now, actions),
        }
    }

    /// Calls that are due by now are late or lost. An alarm that rings late shows that the process stood still: an answer that is
    /// there, and was not heard, comes first.
    fn ring(&mut self, alarm: Instant, now: Instant) -> Option<Stall> {
        let by = now.saturating_duration_since(alarm);
        let stall = grace_after(by).map(|grace| Stall { by, until: now + grace });
        if let Some(stall) = stall.filter(|_| self.calm_until.is_none_or(|until| until + CALM_APART < now)) {
            self.calm_until = Some(stall.until);
        }
        self.promises.ring(now, stall);
        stall
    }

    /// The maintenance: closes what is expired or idle for too long, keeps the rest alive, reports leaks, and says when it is
    /// due again.
    ///
    /// All this is under the lock, so each ring looks at `MOST_LOOKS` idle connections at most: with more of them the maintenance
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

    /// Orders the next ring of this round. It stays with these if another of them is to be checked by then.
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

    /// Has one of these idle connections checked, if it is time. The checks are spread, for others must stay idle: one in each part
    /// of the period, and at once no more than half of what is idle, nor than there may be calls that nobody waits for. Each is
    /// checked before its period is over, so that of many that were proved together the first comes early. Returns where they are
    /// now, and when the next is due.
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
        // No call that ends has this looked at again: so it is done after a while.
        let rest = if bearable { SHORTEST_APART } else { apart.clamp(SHORTEST_APART, LONGEST_REST) };
        (window, Some(due.max(self.keepalive_at.unwrap_or(now)).max(now + rest)))
    }

    /// By when the first of these must be checked, if one is in each part and each in time. With more than these, the others have
    /// their turns in the same part.
    fn keepalive_due(&self, window: Range<usize>) -> Option<Instant> {
        let apart = self.keepalive_part(self.rules.max_size.min(MOST_LOOKS));
        let turn = u32::from(self.idle.len() > MOST_LOOKS);
        let mut proved: Vec<Instant> = self.idle[window].iter().map(|entry| entry.proved.at).collect();
        proved.sort_unstable();
        let by = |(place, at)| after(at, self.rules.keepalive.saturating_sub(apart * place));
        (turn..).zip(proved).filter_map(by).min()
    }

    /// The checks of so many take half a period.
    fn keepalive_part(&self, count: usize) -> Duration {
        self.rules.keepalive / u32::try_from(count).unwrap_or(u32::MAX).saturating_mul(2)
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

    /// Orders the maintenance for `due`, but within `idle_timeout`: what comes back meanwhile relies on that. While a round is under
    /// way none is ordered, for it may have passed the place of what comes back.
    pub(super) fn want_maintenance(&mut self, due: Instant, now: Instant, actions: &mut Actions<C, E>) {
        if let Some(round) = &mut self.round {
            round.due = round.due.into_iter().chain([due]).min();
        } else if self.maintenance.is_none_or(|maintenance| due < maintenance) {
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
            let holder = record.holder(now);
            // One without a holder may get one just now, beside the lock.
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

/// So many idle connections are looked at in each ring.
const MOST_LOOKS: usize = 256;
/// However many connections there are to keep alive, the maintenance rests between two.
const SHORTEST_APART: Duration = Duration::from_millis(1);
/// How long it rests at most while no check may begin.
const LONGEST_REST: Duration = Duration::from_millis(20);
/// Clocks that drift apart by more than this were not drifting.
const FREEZE: Duration = Duration::from_secs(1);
