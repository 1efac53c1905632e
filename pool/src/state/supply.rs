//! The rules of supply: which waiter is served next, what is checked, and when to look again.
//!
//! [`State::settle`] runs at the end of every transaction and restores the invariants. `opening.rs` has what is opened, and what makes
//! room for it.

use crate::entry::Entry;
use crate::reason::CloseReason;
use crate::slots::Phase;
use crate::state::State;
use crate::state::actions::{Action, Actions, Delivery};
use crate::state::promises::PromiseKind;
use std::time::Instant;

impl<C, E> State<C, E> {
    /// Restores what must hold after every change:
    ///
    /// - a waiter that has waited longer than the fairness window is served before any other request;
    /// - the first min(fresh idle, waiters) waiters are notified;
    /// - a waiter for whom nothing is idle has a call under way for it, or an alarm that will look again;
    /// - so has a shortfall of `min_idle`.
    #[inline]
    pub(crate) fn settle(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        self.shut_if_needed(now, actions);
        if self.closed {
            return self.wind_up(actions);
        }
        if self.queue.is_empty() && !self.one_wanted {
            self.open_when_quiet();
            if self.falls_short() {
                // Parked connections are idle, too.
                self.call_rested(now, actions);
            }
            if !self.falls_short() {
                self.gate.reset_growth();
                return self.flow.clear();
            }
        }
        self.settle_slow(now, actions);
    }

    /// Whether there are fewer idle connections than there should be, and there is room for more. (Those being opened, checked or reset
    /// take room, so without room nothing remains to be done.)
    #[inline]
    pub(super) fn falls_short(&self) -> bool {
        self.idle.len() < self.reserve() && self.slots.taken() < self.rules.max_size
    }

    /// How many idle connections are kept ready: `min_idle`, and at least one while nothing is open in an outage. So a pool without
    /// requests notices that its server is back.
    #[inline]
    pub(super) fn reserve(&self) -> usize {
        let is_down = self.gate.is_outage() && self.slots.open() == 0;
        self.rules.min_idle.max(usize::from(is_down))
    }

    fn settle_slow(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        self.serve_overdue(now, actions);
        self.serve_tasks(now, actions);
        self.look_for_hope(now);
        self.refuse_the_hopeless(now, actions);
        self.supply(now, actions);
        let fresh = self.fresh(now);
        self.queue.notify(fresh, |wake| actions.push(Action::Wake(wake)));
        if cfg!(debug_assertions) {
            self.queue.assert_notified(fresh);
            self.slots.assert_counts();
        }
    }

    /// Gives fresh idle connections to the waiters that have waited longer than the fairness window, in order.
    pub(super) fn serve_overdue(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        while let Some(since) = self.queue.head_since() {
            if now.saturating_duration_since(since) <= self.rules.fairness_window {
                return;
            }
            if !self.serve_head(now, actions) {
                return;
            }
        }
    }

    /// Gives a fresh idle connection to the head of the queue, if there is one.
    pub(super) fn serve_head(&mut self, now: Instant, actions: &mut Actions<C, E>) -> bool {
        let Some(entry) = self.pop_good(now, actions) else { return false };
        let borrower = self.queue.head_borrower().expect("somebody waits");
        self.deliver(entry, now, borrower, actions);
        true
    }

    fn refuse_the_hopeless(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        if self.queue.is_empty() || !self.is_hopeless(now) {
            return;
        }
        if let Some((cause, _)) = &self.last_error {
            while !self.queue.is_empty() {
                actions.push(Action::Wake(self.queue.deliver(Delivery::Refused(cause.clone()))));
            }
        }
    }

    /// Starts what the waiters and `min_idle` need: checks of stale idle connections first, because they are cheap, then new
    /// connections.
    fn supply(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        let waiting = self.queue.len() + usize::from(std::mem::take(&mut self.one_wanted));
        self.check_idle(waiting, now, actions);
        self.flow.watch(self.sight(waiting, now), now);
        if self.may_change() {
            self.patience.used(&self.counters.use_time);
            self.flow.estimate(self.sight(waiting, now), now);
            self.open_for(waiting, now, actions);
            self.make_room(waiting, now, actions);
            self.make_threads_free(waiting, now, actions);
        }
        self.plan(waiting, now, actions);
    }

    /// Whether anything can be opened or given up. In a full pool whose connections are all lent or idle, only returns serve waiters,
    /// and that is the normal case of a busy day.
    fn may_change(&self) -> bool {
        self.slots.taken() < self.rules.max_size || !self.promises.is_empty()
    }

    /// While a request waits and a connection is idle, as many checks and resets are in time as there are waiters and late ones: one
    /// check without an answer is followed by two others, then by four. So is one that a server in the wrong role has answered, because
    /// the others probably have the same server. Openings do not count.
    fn check_idle(&mut self, waiting: usize, now: Instant, actions: &mut Actions<C, E>) {
        while waiting > 0 && self.fresh(now) == 0 {
            let tally = self.promises.tally();
            let more = tally.asked_late + self.wrong_in_a_row.min(MOST_AFTER_WRONG);
            if tally.asked_in_time >= waiting + more || !self.check_the_newest(now, actions) {
                return;
            }
        }
    }

    /// How many idle connections can be taken. (Beneath a fresh one there may be stale ones: a waiter that finds one continues to wait.)
    pub(super) fn fresh(&self, now: Instant) -> usize {
        match self.idle.last() {
            Some(top) if self.is_fresh(top, now) => self.idle.len(),
            _ => 0,
        }
    }

    pub(super) fn check_the_newest(&mut self, now: Instant, actions: &mut Actions<C, E>) -> bool {
        let Some(entry) = self.idle.pop() else { return false };
        if entry.is_expired(now) {
            self.close_entry(entry, CloseReason::Expired, now, actions);
            return true;
        }
        self.check(entry, now, actions);
        true
    }

    pub(super) fn check(&mut self, entry: Box<Entry<C>>, now: Instant, actions: &mut Actions<C, E>) {
        self.slots.enter(entry.slot_id, Phase::Checking, now);
        self.promise(entry.slot_id, now, PromiseKind::Check);
        actions.push(Action::Check(entry));
    }

    /// Orders the alarm that looks again at a waiter or a shortfall that cannot be served now.
    fn plan(&mut self, waiting: usize, now: Instant, actions: &mut Actions<C, E>) {
        if waiting == 0 && self.idle.len() >= self.reserve() {
            return;
        }
        // A probe that is due and not under way would have begun just now. One that is under way will settle the state when it ends.
        let mut next = self.gate.retry_at().filter(|&retry_at| retry_at > now);
        if waiting > 0 {
            let of_calls = self.promises.next_moment().map(|at| at.max(now));
            let of_waiters = self.next_impatience(now).into_iter().chain(self.calm_until).filter(|&at| at > now);
            let of_watch = self.flow.next_look().filter(|&at| at > now);
            let of_hope = self.hope_ends(now).filter(|&at| at > now);
            let of_doubt = self.log_in_settles_at().filter(|&at| at > now && self.promises.victims() > 0);
            let of_others = of_watch.into_iter().chain(of_hope).chain(of_doubt);
            next = next.into_iter().chain(of_calls).chain(of_waiters).chain(of_others).min();
        }
        if let Some(next) = next {
            self.want_alarm(next, actions);
        }
    }

    #[inline]
    pub(crate) fn want_alarm(&mut self, at: Instant, actions: &mut Actions<C, E>) {
        if self.alarm.is_none_or(|alarm| at < alarm) {
            self.alarm = Some(at);
            actions.push(Action::Alarm(at));
        }
    }

    /// Wakes the watchers of a closed pool when its last slot is free.
    fn wind_up(&mut self, actions: &mut Actions<C, E>) {
        if self.slots.occupied() == 0 {
            actions.extend(self.watchers.drain(..).map(Action::Wake));
        }
    }
}

/// Each concurrent check has a thread.
const MOST_AFTER_WRONG: usize = 16;
