//! The state's rules of supply: who is served next, what is checked, what is opened, and when to look again.
//!
//! [`State::settle`] runs at the end of every transaction and restores the invariants.

use crate::entry::Entry;
use crate::error::Cause;
use crate::gate::Standing;
use crate::reason::CloseReason;
use crate::slots::Phase;
use crate::state::actions::{Action, Actions, Delivery, Opening};
use crate::state::{Promise, PromiseKind, State};
use std::time::{Duration, Instant};

impl<C, E> State<C, E> {
    /// Restores what must hold after every change:
    ///
    /// - a waiter that has waited longer than the fairness window is served before anybody else;
    /// - the first min(fresh idle, waiters) waiters are notified;
    /// - a waiter for whom nothing is idle has a call under way for it, or an alarm that will look again;
    /// - so has a shortfall of `min_idle`.
    #[inline]
    pub(crate) fn settle(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        if self.closed {
            return self.wind_up(actions);
        }
        if self.queue.is_empty() && !self.one_wanted && !self.falls_short() {
            self.gate.reset_growth();
            return;
        }
        self.settle_slow(now, actions);
    }

    /// Are there fewer idle ones than there should be, and is there room for more? (All that is being opened, checked or reset
    /// takes room, so that with none nothing is left to be seen to.)
    #[inline]
    fn falls_short(&self) -> bool {
        self.idle.len() < self.rules.min_idle && self.slots.taken() < self.rules.max_size
    }

    fn settle_slow(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        self.serve_overdue(now, actions);
        self.refuse_the_hopeless(now, actions);
        self.supply(now, actions);
        let fresh = self.fresh(now);
        self.queue.notify(fresh, |wake| actions.push(Action::Wake(wake)));
        if cfg!(debug_assertions) {
            self.queue.assert_notified(fresh);
            self.slots.assert_counts();
        }
    }

    /// Gives fresh idle connections to those who have waited longer than the fairness window, in order.
    pub(super) fn serve_overdue(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        while let Some(since) = self.queue.head_since() {
            if now.saturating_duration_since(since) <= self.rules.fairness_window {
                return;
            }
            let Some(entry) = self.pop_fresh(now, actions) else { return };
            let borrower = self.queue.head_borrower().expect("somebody waits");
            self.deliver(entry, now, borrower, actions);
        }
    }

    /// Is there no connection, and no hope of one before somebody mends something?
    pub(super) fn is_hopeless(&self, now: Instant) -> bool {
        self.slots.open() == 0 && self.gate.refuses(now)
    }

    fn refuse_the_hopeless(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        if self.queue.is_empty() || !self.is_hopeless(now) {
            return;
        }
        if let Some((Cause::Driver(error), _)) = &self.last_error {
            while !self.queue.is_empty() {
                actions.push(Action::Wake(self.queue.deliver(Delivery::Refused(std::sync::Arc::clone(error)))));
            }
        }
    }

    /// Sets going what the waiters and `min_idle` need: checks of stale idle connections first, for they are cheap, then
    /// new connections. Calls that have gone unanswered for a while are no longer relied upon.
    fn supply(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        let waiting = self.queue.len() + usize::from(std::mem::take(&mut self.one_wanted));
        if self.promises.iter().any(|promise| promise.kind != PromiseKind::Open && promise.is_late(now)) {
            // Stale connections do not answer: better a new one than the next of them.
            self.open_for(waiting, now, actions);
            self.abort_the_oldest(self.unserved(waiting, now), now, actions);
        }
        while self.unserved(waiting, now) > 0 && self.fresh(now) == 0 && self.check_the_newest(now, actions) {}
        self.open_for(waiting, now, actions);
        self.plan(waiting, now, actions);
    }

    /// Waiters for whom neither a fresh connection is idle nor a call is under way that still is in time.
    fn unserved(&self, waiting: usize, now: Instant) -> usize {
        waiting.saturating_sub(self.fresh(now) + self.relied_upon(now).count())
    }

    /// The calls under way that are still in time, and a probe in any case: beside it there is no second.
    fn relied_upon(&self, now: Instant) -> impl Iterator<Item = &Promise> {
        let is_probe = |promise: &Promise| promise.kind == PromiseKind::Open && self.gate.is_probe(promise.since);
        self.promises.iter().filter(move |promise| !promise.is_late(now) || is_probe(promise))
    }

    /// How many idle connections are there for the taking. (Beneath a fresh one there may be stale ones: a waiter that
    /// finds one waits on.)
    fn fresh(&self, now: Instant) -> usize {
        match self.idle.last() {
            Some(top) if self.is_fresh(top, now) => self.idle.len(),
            _ => 0,
        }
    }

    fn promised_opens(&self) -> usize {
        self.promises.iter().filter(|promise| promise.kind == PromiseKind::Open).count()
    }

    fn check_the_newest(&mut self, now: Instant, actions: &mut Actions<C, E>) -> bool {
        let Some(entry) = self.idle.pop() else { return false };
        if entry.is_expired(now) {
            self.close_entry(entry, CloseReason::Expired, now, actions);
            return true;
        }
        self.check(entry, now, actions);
        true
    }

    pub(super) fn check(&mut self, mut entry: Box<Entry<C>>, now: Instant, actions: &mut Actions<C, E>) {
        // A death that is proved while this check runs makes it suspect again.
        entry.asked = self.epoch;
        self.slots.enter(entry.slot_id, Phase::Checking, now);
        self.promise(entry.slot_id, now, PromiseKind::Check);
        actions.push(Action::Check(entry));
    }

    /// Opens connections for waiters who would go unserved, and for the shortfall of `min_idle`, as far as there is room
    /// and the gate allows.
    fn open_for(&mut self, waiting: usize, now: Instant, actions: &mut Actions<C, E>) {
        let ready = (self.idle.len() + self.promises.len()).saturating_sub(waiting);
        let wanted = self.unserved(waiting, now) + self.rules.min_idle.saturating_sub(ready);
        let room = self.rules.max_size.saturating_sub(self.slots.taken()).min(self.bearable());
        let circulating = self.slots.count(Phase::Lent) > 0;
        // An attempt that hangs for good tells nothing of how full the server is.
        let hung = self.slots.count(Phase::Opening) - self.promised_opens();
        let standing = Standing { taken: self.slots.taken() - hung, opening: self.attempts(now), circulating };
        for _ in 0..wanted.min(room).min(self.gate.allowance(now, standing)) {
            let slot = self.slots.take(now);
            self.promise(slot, now, PromiseKind::Open);
            actions.push(Action::Open(Opening { slot, limit: self.gate.open_limit(), generation: self.generation }));
        }
    }

    /// How many more calls there may be that do not return though they were given up. They hold threads: there is an end to
    /// that.
    fn bearable(&self) -> usize {
        let lost = self.slots.count(Phase::Aborted) + self.slots.count(Phase::Abandoned);
        self.rules.max_size.saturating_mul(MOST_LOST).saturating_sub(lost)
    }

    /// Is nothing opened any more until one of those calls returns?
    pub(super) fn opens_no_more(&self) -> bool {
        self.bearable() == 0
    }

    /// Attempts to connect that hold up the next. One that drags on does not, nor does one that hangs for good, which is
    /// no promise any more.
    fn attempts(&self, now: Instant) -> usize {
        self.relied_upon(now).filter(|promise| promise.kind == PromiseKind::Open).count()
    }

    /// No slot is free: the checks that have gone unanswered the longest make room. (A reset has its time: who holds the slot
    /// now was served before.)
    fn abort_the_oldest(&mut self, count: usize, now: Instant, actions: &mut Actions<C, E>) {
        let standing = Standing { taken: self.slots.taken() - 1, opening: 0, circulating: false };
        if self.slots.taken() < self.rules.max_size || self.gate.allowance(now, standing) == 0 {
            return;
        }
        let late = |promise: &&mut Promise| promise.kind == PromiseKind::Check && promise.is_late(now);
        for promise in self.promises.iter_mut().filter(late).take(count) {
            let call = self.slots.get(promise.slot).call.take();
            if let Some(call) = call.filter(|call| call.strong_count() > 0) {
                promise.aborted = true;
                actions.push(Action::Abort(promise.slot, call));
            }
        }
    }

    /// Orders the alarm at which a waiter or a shortfall that cannot be served now is looked at again.
    fn plan(&mut self, waiting: usize, now: Instant, actions: &mut Actions<C, E>) {
        if waiting == 0 && self.idle.len() >= self.rules.min_idle {
            return;
        }
        // A probe that is due and not under way would have begun just now; one that is will settle things when it ends.
        if let Some(retry_at) = self.gate.retry_at().filter(|&retry_at| retry_at > now) {
            self.want_alarm(retry_at, actions);
        }
        let late_at = self.promises.iter().map(Promise::late_at);
        if let Some(late) = late_at.filter(|&late_at| late_at > now).min() {
            self.want_alarm(late, actions);
        }
    }

    #[inline]
    pub(super) fn want_alarm(&mut self, at: Instant, actions: &mut Actions<C, E>) {
        if self.alarm.is_none_or(|alarm| at < alarm) {
            self.alarm = Some(at);
            actions.push(Action::Alarm(at));
        }
    }

    /// The last slot of a closed pool is free.
    fn wind_up(&mut self, actions: &mut Actions<C, E>) {
        if self.slots.occupied() == 0 {
            actions.extend(self.watchers.drain(..).map(Action::Wake));
        }
    }
}

impl Promise {
    /// Until when a waiter relies on this call.
    fn late_at(&self) -> Instant {
        self.since + if self.kind == PromiseKind::Open { OPENING_PATIENCE } else { PATIENCE }
    }

    fn is_late(&self, now: Instant) -> bool {
        !self.aborted && now >= self.late_at()
    }
}

/// How long a waiter relies on a check or a reset, and on an attempt to connect.
const PATIENCE: Duration = Duration::from_millis(100);
const OPENING_PATIENCE: Duration = Duration::from_millis(500);

/// No connection is opened while so many times `max_size` calls have been given up and not returned.
const MOST_LOST: usize = 8;
