//! The one truth: idle connections, waiters, slots, the gate, the numbers.
//!
//! Pure: no I/O, no clock, no user code, and nothing here blocks. Each method is told the time and writes what must be
//! done outside the lock into a [`Todo`]. After each, [`State::settle`] restores the invariants (see `supply.rs`);
//! `census.rs` reads the numbers.

use crate::config::Config;
use crate::entry::{Entry, Proof};
use crate::error::Cause;
use crate::gate::{Gate, Refusal};
use crate::limit::Cell;
use crate::queue::{Queue, Ticket};
use crate::reason::CloseReason;
use crate::slots::{Borrower, Phase, SlotId, Slots};
use crate::stats::Stats;
use crate::sync::after;
use crate::todo::{Action, Claim, Delivery, Todo};
use crate::waiter::Wake;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Guarded by the pool's one lock. Owns no slot guard and nothing whose destructor is user code, but for the idle
/// entries, the errors and the waiters' cells; those leave through [`Todo`] or a return value, never by being dropped.
pub(crate) struct State<C, E> {
    /// Newest last; handed out from the end.
    pub(super) idle: Vec<Box<Entry<C>>>,
    pub(super) queue: Queue<Delivery<C, E>>,
    pub(super) slots: Slots,
    pub(super) gate: Gate,
    /// Driver calls under way whose connection, if all is well, will serve a waiter. Oldest first.
    pub(super) promises: VecDeque<Promise>,
    pub(super) rules: Rules,
    /// Raised by each proof of death: what was not proved since is checked before its next loan.
    pub(super) epoch: u64,
    /// Raised by `evict_all`: older connections are closed.
    pub(super) generation: u64,
    pub(super) closed: bool,
    /// Somebody who does not wait would like a connection to be ready next time.
    pub(super) nudged: bool,
    /// When the upkeep is due, as far as it was ordered.
    pub(super) alarm: Option<Instant>,
    /// The last error on connecting that no success has followed.
    pub(super) last_error: Option<(Cause<E>, Instant)>,
    /// Those who wait for the first connections, or for the closed pool to empty.
    pub(super) onlookers: Vec<Wake>,
    /// When the two clocks were last compared: monotonic and wall.
    pub(super) clocks: (Instant, Duration),
    /// The counters; the gauges in it stay zero.
    pub(super) tally: Stats,
    next_id: u64,
    random: fastrand::Rng,
}

/// The settings that the state goes by; those that `resize` changes live only here.
pub(crate) struct Rules {
    pub(super) max_size: usize,
    pub(super) min_idle: usize,
    pub(super) max_waiters: usize,
    pub(super) fairness_window: Duration,
    pub(super) check_after: Duration,
    pub(super) max_lifetime: Duration,
    pub(super) lifetime_jitter: f64,
    pub(super) idle_timeout: Duration,
    pub(super) keepalive: Duration,
    pub(super) leak_after: Duration,
}

/// A driver call under way whose connection will serve a waiter.
pub(crate) struct Promise {
    pub(super) slot: SlotId,
    pub(super) since: Instant,
    pub(super) kind: Phase,
}

impl<C, E> State<C, E> {
    pub(crate) fn new(config: &Config, now: Instant, wall: Duration, mut random: fastrand::Rng) -> Self {
        let rules = Rules {
            max_size: config.max_size as usize,
            min_idle: config.min_idle as usize,
            max_waiters: config.max_waiters.map_or(usize::MAX, |most| most as usize),
            fairness_window: config.fairness_window,
            check_after: config.check_after,
            max_lifetime: config.max_lifetime,
            lifetime_jitter: config.lifetime_jitter,
            idle_timeout: config.idle_timeout,
            keepalive: config.keepalive,
            leak_after: config.leak_after,
        };
        Self {
            idle: Vec::new(),
            queue: Queue::new(),
            slots: Slots::new(),
            gate: Gate::new(config.backoff, config.connect_timeout, random.fork()),
            promises: VecDeque::new(),
            rules,
            epoch: 0,
            generation: 0,
            closed: false,
            nudged: false,
            alarm: None,
            last_error: None,
            onlookers: Vec::new(),
            clocks: (now, wall),
            tally: Stats::default(),
            next_id: 1,
            random,
        }
    }

    // The way out.

    /// Takes a fresh idle connection, unless somebody who has waited longer than the fairness window comes first.
    #[inline]
    pub(crate) fn claim(&mut self, now: Instant, borrower: Borrower, todo: &mut Todo<C, E>) -> Claim<C, E> {
        if self.closed {
            return Claim::Closed;
        }
        if !self.queue.is_empty() {
            self.serve_overdue(now, todo);
        }
        if let Some(entry) = self.pop_fresh(now, todo) {
            self.lend(entry.slot, now, borrower, todo);
            self.tally.checked_out_at_once += 1;
            self.tally.wait_time.count_zero();
            return Claim::Connection(entry);
        }
        match &self.last_error {
            Some((Cause::Driver(error), _)) if self.is_hopeless(now) => Claim::Refused(Arc::clone(error)),
            _ => Claim::Nothing,
        }
    }

    /// Whoever asked will not wait, but may ask again: see to it that something is ready then.
    pub(crate) fn nudge(&mut self) {
        self.nudged = true;
    }

    /// Joins the line. `None`: it is too long already.
    pub(crate) fn queue(&mut self, wake: Wake, borrower: Borrower, since: Instant) -> Option<Ticket> {
        if self.queue.len() >= self.rules.max_waiters {
            self.tally.overloaded += 1;
            return None;
        }
        Some(self.queue.join(wake, borrower, since))
    }

    /// A waiter was woken: takes what was delivered to it, or else a fresh idle connection.
    pub(crate) fn look(
        &mut self,
        ticket: &Ticket,
        now: Instant,
        borrower: Borrower,
        todo: &mut Todo<C, E>,
    ) -> Option<Delivery<C, E>> {
        if let Some(delivery) = self.queue.collect(ticket) {
            return Some(delivery);
        }
        self.serve_overdue(now, todo);
        if let Some(delivery) = self.queue.collect(ticket) {
            return Some(delivery);
        }
        let Some(entry) = self.pop_fresh(now, todo) else {
            self.queue.renew();
            return None;
        };
        let delivered = self.queue.cancel(ticket);
        debug_assert!(delivered.is_none(), "BUG: a delivery was overlooked");
        self.lend(entry.slot, now, borrower, todo);
        Some(Delivery::Connection(entry))
    }

    /// A waiter gives up: it is out of the line, or has what was delivered to it before.
    pub(crate) fn cancel(&mut self, ticket: &Ticket) -> Option<Delivery<C, E>> {
        self.queue.cancel(ticket)
    }

    pub(crate) fn served_after(&mut self, waited: Duration) {
        self.tally.checked_out_after_waiting += 1;
        self.tally.wait_time.record(waited);
    }

    // The way back.

    /// A loan ends: the connection is closed, reset, or ready for the next, in the order that [`put`](Self::put) asks.
    /// Returns how long the loan was.
    #[inline]
    pub(crate) fn check_in(
        &mut self,
        mut entry: Box<Entry<C>>,
        needs_reset: bool,
        now: Instant,
        todo: &mut Todo<C, E>,
    ) -> Duration {
        let record = self.slots.get(entry.slot);
        let used = now.saturating_duration_since(record.since);
        let severed = record.phase == Phase::Severed;
        entry.last_used = now;
        self.tally.returned += 1;
        self.tally.use_time.record(used);
        if severed {
            entry.condemned.get_or_insert(CloseReason::PoolClosed);
        }
        if !needs_reset {
            self.tally.resets_skipped += u64::from(entry.condemned.is_none());
            self.put(entry, now, todo);
            return used;
        }
        match self.unwanted(&entry, now) {
            Some(reason) => self.close_entry(entry, reason, now, todo),
            None => {
                self.slots.enter(entry.slot, Phase::Resetting, now);
                self.promise(entry.slot, now, Phase::Resetting);
                todo.push(Action::Reset(entry));
            }
        }
        used
    }

    /// A connection that was to be lent did not look right to its borrower: it was no loan.
    pub(crate) fn take_back(&mut self, entry: Box<Entry<C>>, now: Instant, todo: &mut Todo<C, E>) {
        self.tally.taken_back += 1;
        self.put(entry, now, todo);
    }

    /// Everything funnels into this: closed, evicted, surplus, expired? Then it is closed. Else it is idle, and
    /// [`settle`](Self::settle) gives it to a waiter.
    #[inline]
    pub(crate) fn put(&mut self, entry: Box<Entry<C>>, now: Instant, todo: &mut Todo<C, E>) {
        self.keep_promise(entry.slot);
        if let Some(reason) = self.unwanted(&entry, now) {
            return self.close_entry(entry, reason, now, todo);
        }
        if let Some(due) = self.due(&entry, now) {
            self.want_alarm(due, todo);
        }
        self.slots.enter(entry.slot, Phase::Idle, now);
        self.idle.push(entry);
    }

    /// As [`put`](Self::put) for a connection that the server has just answered for: the first in line has it at once.
    pub(crate) fn put_proved(&mut self, entry: Box<Entry<C>>, now: Instant, todo: &mut Todo<C, E>) {
        self.put(entry, now, todo);
        if let (Some(top), Some(borrower)) = (self.idle.last(), self.queue.head_borrower()) {
            if top.proved == (Proof { at: now, epoch: self.epoch }) {
                let entry = self.idle.pop().expect("it was there");
                self.deliver(entry, now, borrower, todo);
            }
        }
    }

    /// A connection was opened in `slot`: it gets its number, and its time to live.
    pub(crate) fn admit(&mut self, entry: &mut Entry<C>, took: Duration, now: Instant, todo: &mut Todo<C, E>) {
        entry.id = self.next_id;
        self.next_id += 1;
        let share = 1.0 - self.rules.lifetime_jitter * self.random.f64();
        entry.expires = match self.rules.max_lifetime {
            Duration::MAX => None,
            lifetime => after(now, lifetime.mul_f64(share)),
        };
        entry.proved = Proof { at: now, epoch: self.epoch };
        todo.extend(self.onlookers.drain(..).map(Action::Wake));
        let record = self.slots.get(entry.slot);
        record.id = entry.id;
        record.line = entry.line.as_ref().map(Arc::downgrade);
        self.gate.opened(self.slots.taken(), self.rules.max_size);
        todo.extend(self.last_error.take().map(|(cause, _)| Action::Drop(cause)));
        self.tally.opened += 1;
        self.tally.open_time.record(took);
    }

    /// An attempt to connect in `slot` failed; the slot is still taken.
    pub(crate) fn open_failed(&mut self, refusal: Refusal, cause: Cause<E>, now: Instant, todo: &mut Todo<C, E>) {
        self.tally.open_failures += 1;
        let first = self.gate.failed(now, refusal, self.open());
        if first && refusal == Refusal::Unavailable {
            self.suspect();
        }
        todo.extend(self.onlookers.drain(..).map(Action::Wake));
        todo.extend(self.last_error.replace((cause, now)).map(|(cause, _)| Action::Drop(cause)));
    }

    /// All that have not been proved since are checked before their next loan.
    pub(crate) fn suspect(&mut self) {
        self.epoch += 1;
    }

    /// A connection is proved dead. That puts the others under suspicion, unless it was itself under suspicion already.
    pub(crate) fn died(&mut self, entry: &Entry<C>) {
        if entry.proved.epoch == self.epoch {
            self.suspect();
        }
    }

    /// A check succeeded.
    pub(crate) fn proved(&mut self, entry: &mut Entry<C>, now: Instant) {
        entry.proved = Proof { at: now, epoch: entry.asked };
    }

    /// To be woken when a connection has been opened or could not be, or when the closed pool is empty.
    pub(crate) fn look_on(&mut self, wake: Wake) {
        self.onlookers.push(wake);
    }

    // Slots.

    /// `slot` is free, and the connection that filled it, if any, is gone.
    pub(crate) fn release(&mut self, slot: SlotId) {
        self.keep_promise(slot);
        #[cfg(not(seeded_bug = "failed_connect_keeps_slot"))]
        self.slots.free(slot);
    }

    pub(crate) fn phase(&mut self, slot: SlotId) -> Phase {
        self.slots.get(slot).phase
    }

    /// What fills `slot` is a connection that its holder keeps.
    pub(crate) fn detached(&mut self, slot: SlotId, now: Instant) {
        let used = now.saturating_duration_since(self.slots.get(slot).since);
        self.tally.returned += 1;
        self.tally.use_time.record(used);
        self.tally.closed.count(CloseReason::Detached);
        self.slots.free(slot);
    }

    /// A driver call begins in `slot`.
    pub(crate) fn call_began(&mut self, slot: SlotId, call: Weak<Cell>) {
        self.slots.get(slot).call = Some(call);
    }

    /// The line of what fills `slot` is cut: its capacity is back at once.
    pub(crate) fn severed(&mut self, slot: SlotId, now: Instant) {
        self.keep_promise(slot);
        self.slots.enter(slot, Phase::Severed, now);
    }

    /// The thread that works for `slot` is written off; what it looks up opens nothing, so its capacity is back.
    pub(crate) fn abandoned(&mut self, slot: SlotId, now: Instant) {
        self.keep_promise(slot);
        self.slots.enter(slot, Phase::Abandoned, now);
    }

    /// The call in `slot` hangs and nobody can cut it.
    pub(crate) fn stuck(&mut self, slot: SlotId) {
        self.keep_promise(slot);
        self.slots.mark_stuck(slot);
    }

    /// What fills `slot` is being closed.
    pub(crate) fn closing(&mut self, slot: SlotId, reason: CloseReason, now: Instant) {
        self.keep_promise(slot);
        if self.slots.get(slot).phase != Phase::Severed {
            self.slots.enter(slot, Phase::Closing, now);
        }
        self.tally.closed.count(reason);
    }

    // The pool as a whole.

    /// No more loans: wakes all waiters, closes what is idle. Returns whether it was open until now.
    pub(crate) fn close(&mut self, now: Instant, todo: &mut Todo<C, E>) -> bool {
        if std::mem::replace(&mut self.closed, true) {
            return false;
        }
        #[cfg(not(seeded_bug = "close_wakes_nobody"))]
        while !self.queue.is_empty() {
            todo.push(Action::Wake(self.queue.deliver(Delivery::Closed)));
        }
        self.close_idle(CloseReason::PoolClosed, 0, now, todo);
        todo.extend(self.last_error.take().map(|(cause, _)| Action::Drop(cause)));
        true
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Closes what is idle now, and what is lent when it comes back.
    pub(crate) fn evict_all(&mut self, now: Instant, todo: &mut Todo<C, E>) {
        self.generation += 1;
        self.close_idle(CloseReason::Evicted, 0, now, todo);
    }

    /// Sets both sizes. What is open beyond `max_size` is closed: idle ones now, lent ones when they come back.
    pub(crate) fn resize(&mut self, max_size: usize, min_idle: usize, now: Instant, todo: &mut Todo<C, E>) {
        (self.rules.max_size, self.rules.min_idle) = (max_size, min_idle);
        let surplus = self.slots.taken().saturating_sub(max_size);
        let kept = self.idle.len().saturating_sub(surplus);
        self.close_idle(CloseReason::Surplus, kept, now, todo);
    }

    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.rules.max_size, self.rules.min_idle)
    }

    // Steps of the above.

    pub(super) fn lend(&mut self, slot: SlotId, now: Instant, borrower: Borrower, todo: &mut Todo<C, E>) {
        self.slots.enter(slot, Phase::Lent, now);
        let record = self.slots.get(slot);
        (record.borrower, record.leak_told) = (borrower, false);
        if self.rules.leak_after != Duration::MAX {
            if let Some(due) = after(now, self.rules.leak_after) {
                self.want_alarm(due, todo);
            }
        }
    }

    pub(super) fn deliver(&mut self, entry: Box<Entry<C>>, now: Instant, borrower: Borrower, todo: &mut Todo<C, E>) {
        self.lend(entry.slot, now, borrower, todo);
        todo.push(Action::Wake(self.queue.deliver(Delivery::Connection(entry))));
    }

    /// The newest idle connection, if it is fresh. Dead ones on the way to it are closed.
    #[inline]
    pub(super) fn pop_fresh(&mut self, now: Instant, todo: &mut Todo<C, E>) -> Option<Box<Entry<C>>> {
        loop {
            let top = self.idle.last()?;
            if let Some(reason) = self.unwanted(top, now) {
                let entry = self.idle.pop()?;
                self.close_entry(entry, reason, now, todo);
            } else if self.is_fresh(top, now) {
                return self.idle.pop();
            } else {
                return None;
            }
        }
    }

    #[inline]
    pub(super) fn is_fresh(&self, entry: &Entry<C>, now: Instant) -> bool {
        entry.proved.epoch == self.epoch && now.saturating_duration_since(entry.proved.at) <= self.rules.check_after
    }

    /// Why this connection must not go on, if so. The order matters: the first reason is the one that is told.
    #[inline]
    fn unwanted(&self, entry: &Entry<C>, now: Instant) -> Option<CloseReason> {
        if let Some(reason) = entry.condemned {
            Some(reason)
        } else if self.closed {
            Some(CloseReason::PoolClosed)
        } else if entry.generation != self.generation {
            Some(CloseReason::Evicted)
        } else if self.slots.taken() > self.rules.max_size {
            Some(CloseReason::Surplus)
        } else if entry.is_expired(now) {
            Some(CloseReason::Expired)
        } else {
            None
        }
    }

    pub(super) fn close_entry(
        &mut self,
        entry: Box<Entry<C>>,
        reason: CloseReason,
        now: Instant,
        todo: &mut Todo<C, E>,
    ) {
        self.closing(entry.slot, reason, now);
        todo.push(Action::Close(entry, reason));
    }

    /// Closes the idle ones that were used the longest ago, until `kept` are left.
    fn close_idle(&mut self, reason: CloseReason, kept: usize, now: Instant, todo: &mut Todo<C, E>) {
        let surplus = self.idle.len().saturating_sub(kept);
        let closed: Vec<_> = self.idle.drain(..surplus).collect();
        for entry in closed {
            self.close_entry(entry, reason, now, todo);
        }
    }

    pub(super) fn promise(&mut self, slot: SlotId, now: Instant, kind: Phase) {
        self.promises.push_back(Promise { slot, since: now, kind });
    }

    fn keep_promise(&mut self, slot: SlotId) {
        if let Some(place) = self.promises.iter().position(|promise| promise.slot == slot) {
            self.promises.remove(place);
        }
    }

    /// Connections that are open and neither being closed nor cut off.
    pub(super) fn open(&self) -> usize {
        self.slots.taken() - self.slots.count(Phase::Opening) - self.slots.count(Phase::Closing)
    }
}
