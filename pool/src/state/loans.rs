//! The borrowers' part of a loan: the way out, and the way back.

use crate::entry::{Entry, Proof};
use crate::queue::Ticket;
use crate::reason::CloseReason;
use crate::slots::{Borrower, Phase};
use crate::state::State;
use crate::state::actions::{Action, Actions, Claim, Delivery, Work};
use crate::state::promises::PromiseKind;
use crate::state::young::stage_of_loan;
use crate::sync::after;
use crate::waiter::Wake;
use std::time::{Duration, Instant};

impl<C, E> State<C, E> {
    /// Takes a fresh connection, idle or parked. A waiter that has waited longer than the fairness window comes first.
    #[inline]
    pub(crate) fn claim(&mut self, now: Instant, borrower: Borrower, actions: &mut Actions<C, E>) -> Claim<C, E> {
        if self.closed {
            self.counters.refused_closed += 1;
            return Claim::Closed;
        }
        if !self.queue.is_empty() {
            self.serve_overdue(now, actions);
        }
        if let Some(entry) = self.pop_good_or_parked(now, actions) {
            self.lend(entry.slot_id, now, borrower, actions);
            self.counters.checked_out_at_once += 1;
            return Claim::Connection(entry);
        }
        let is_hopeless = self.last_error.is_some() && self.is_hopeless(now);
        match &self.last_error {
            Some((cause, _)) if is_hopeless => {
                self.counters.refused += 1;
                Claim::Refused(cause.clone())
            }
            _ => Claim::Nothing,
        }
    }

    /// The caller does not wait, but may ask again: a connection should be ready then.
    pub(crate) fn want_one(&mut self) {
        self.one_wanted = true;
    }

    /// As [`want_one`](Self::want_one), for a request that ends here and is not a time-out.
    pub(crate) fn not_available(&mut self) {
        self.counters.not_available += 1;
        self.want_one();
    }

    /// Counts a request that was refused because a hook made it.
    pub(crate) fn called_from_hook(&mut self) {
        self.counters.called_from_hook += 1;
    }

    /// Joins the queue, for `timeout` from `since` on. `None`: the queue is full.
    pub(crate) fn queue(
        &mut self,
        wake: Wake,
        borrower: Borrower,
        since: Instant,
        timeout: Duration,
    ) -> Option<Ticket> {
        if self.queue.len() >= self.rules.max_waiters {
            self.counters.overloaded += 1;
            return None;
        }
        Some(self.queue_again(wake, borrower, since, timeout))
    }

    /// Joins the queue even if it is full. A request that received a dead connection gets its old place back: it was admitted before.
    pub(crate) fn queue_again(&mut self, wake: Wake, borrower: Borrower, since: Instant, timeout: Duration) -> Ticket {
        let before = if self.queue.is_empty() { Duration::MAX } else { self.shortest_timeout };
        self.shortest_timeout = before.min(timeout);
        self.queue.join(wake, borrower, since, self.relies_until(since), after(since, timeout))
    }

    /// Until when a waiter relies on a check, if it began to wait at `since`.
    fn relies_until(&self, since: Instant) -> Option<Instant> {
        after(since, self.patience.spans(PromiseKind::Check).lost)
    }

    /// The maximum time after which another connection is checked, beside a check or a reset that has not been answered.
    pub(super) fn haste(&self) -> Duration {
        (self.shortest_timeout / 8).max(SHORTEST_HASTE)
    }

    /// A waiter was woken: takes what was delivered to it, or else a fresh idle connection.
    pub(crate) fn receive(
        &mut self,
        ticket: &Ticket,
        now: Instant,
        borrower: Borrower,
        actions: &mut Actions<C, E>,
    ) -> Option<Delivery<C, E>> {
        if let Some(delivery) = self.queue.collect(ticket) {
            return Some(self.counted(delivery));
        }
        self.serve_overdue(now, actions);
        if let Some(delivery) = self.queue.collect(ticket) {
            return Some(self.counted(delivery));
        }
        let Some(entry) = self.pop_good(now, actions) else {
            self.queue.renew();
            return None;
        };
        let delivered = self.queue.cancel(ticket);
        debug_assert!(delivered.is_none(), "BUG: a delivery was overlooked");
        self.lend(entry.slot_id, now, borrower, actions);
        self.counters.checked_out_after_waiting += 1;
        Some(Delivery::Connection(entry))
    }

    /// A waiter gives up: it leaves the queue, or gets what was delivered to it before.
    pub(crate) fn cancel(&mut self, ticket: &Ticket) -> Option<Delivery<C, E>> {
        self.queue.cancel(ticket).map(|delivery| self.counted(delivery))
    }

    /// Counts a delivery that ends its request. (A loan is counted at its delivery, when it begins.)
    pub(super) fn counted(&mut self, delivery: Delivery<C, E>) -> Delivery<C, E> {
        match delivery {
            Delivery::Connection(_) => {}
            Delivery::Refused(_) => self.counters.refused += 1,
            Delivery::Closed => self.counters.refused_closed += 1,
        }
        delivery
    }

    /// A waiter whose time ended at `deadline` finds nothing. If the process was suspended then, returns how much longer it may wait,
    /// once: a connection that would have come in time may come now.
    pub(crate) fn grace(&mut self, deadline: Instant, now: Instant) -> Option<Duration> {
        self.stalls.grace(deadline, now)
    }

    /// Counts a request that ran out of time.
    pub(crate) fn timed_out(&mut self, waited: Duration) {
        self.counters.timed_out += 1;
        self.counters.wait_time.record(waited);
    }

    /// Records the wait of a waiter that has its connection. The loan was counted before.
    pub(crate) fn served_after(&mut self, waited: Duration) {
        self.counters.wait_time.record(waited);
    }

    /// Ends a loan that took `used`: the connection is closed, passed to a worker, or ready for the next loan. As in [`put`](Self::put),
    /// the reasons to close it come first.
    #[inline]
    pub(crate) fn check_in(
        &mut self,
        mut entry: Box<Entry<C>>,
        used: Duration,
        needs: Option<Work>,
        now: Instant,
        actions: &mut Actions<C, E>,
    ) {
        entry.last_used = now;
        self.take_permit(&mut entry);
        self.fast.returned();
        self.counters.returned += 1;
        self.counters.use_time.record(used);
        if entry.condemned.is_none() && needs != Some(Work::Check) {
            self.sound_return(&mut entry, now, actions);
        }
        if self.slots.get(entry.slot_id).comes_back(entry.uses) {
            entry.condemned.get_or_insert(CloseReason::Overran);
        }
        let Some(work) = needs else { return self.put(entry, now, actions) };
        if let Some(reason) = self.unwanted(&entry, now) {
            return self.close_entry(entry, reason, now, actions);
        }
        match work {
            Work::Reset => {
                self.slots.enter(entry.slot_id, Phase::Resetting, now);
                self.promise(entry.slot_id, now, PromiseKind::Reset);
                actions.push(Action::Reset(entry));
            }
            Work::Check => {
                self.question(&mut entry, now);
                self.check(entry, now, actions);
            }
        }
    }

    /// A connection came back sound, whatever the state of its session.
    #[inline]
    pub(crate) fn sound_return(&mut self, entry: &mut Entry<C>, now: Instant, actions: &mut Actions<C, E>) {
        if entry.was_touched {
            self.answered_at = Some(now);
        }
        self.passed(entry, stage_of_loan(entry), now, actions);
    }

    pub(crate) fn reset_skipped(&mut self) {
        self.counters.resets_skipped += 1;
    }

    /// A connection did not look right to its borrower, so there was no loan.
    pub(crate) fn reject(&mut self, entry: Box<Entry<C>>, now: Instant, actions: &mut Actions<C, E>) {
        self.counters.rejected_at_checkout += 1;
        self.come_home(entry, now, actions);
    }

    /// Puts a returned connection, whether it comes from a loan or a worker. An unwanted one (evicted, surplus, expired, or of a closed
    /// pool) is closed. Any other is idle from here on, and [`settle`](Self::settle) gives it to a waiter.
    #[inline]
    pub(crate) fn put(&mut self, entry: Box<Entry<C>>, now: Instant, actions: &mut Actions<C, E>) {
        self.keep_promise(entry.slot_id, now);
        if let Some(reason) = self.unwanted(&entry, now) {
            return self.close_entry(entry, reason, now, actions);
        }
        if !self.is_seen_to(&entry, now) {
            self.see_to(&entry, now, actions);
        }
        self.slots.enter(entry.slot_id, Phase::Idle, now);
        self.none_beneath = false;
        self.idle.push(entry);
    }

    /// As [`put`](Self::put), for a connection on which the server has just answered: the head of the queue gets it at once.
    pub(crate) fn put_proved(&mut self, mut entry: Box<Entry<C>>, now: Instant, actions: &mut Actions<C, E>) {
        let is_new = self.slots.get(entry.slot_id).phase == Phase::Opening;
        if is_new && self.must_be_asked() && self.unwanted(&entry, now).is_none() {
            entry.is_asked = true;
            self.keep_promise(entry.slot_id, now);
            return self.check(entry, now, actions);
        }
        self.put(entry, now, actions);
        actions.extend(self.watchers.drain(..).map(Action::Wake));
        if let (Some(top), Some(borrower)) = (self.idle.last(), self.queue.head_borrower()) {
            if top.proved == (Proof { at: now, epoch: self.epoch }) {
                let entry = self.idle.pop().expect("it was there");
                self.deliver(entry, now, borrower, actions);
            }
        }
    }
}

/// However short the time-outs of the waiters are, others are not checked sooner than this.
const SHORTEST_HASTE: Duration = Duration::from_millis(1);
