//! The pool's state: idle connections, waiters, slots, the gate and the counters.
//!
//! Pure: no I/O, no clock, no user code, and nothing here blocks. Each method receives the time as an argument, and adds what must be
//! done outside the lock to [`Actions`]. This file has the struct and what concerns the pool as a whole. In the others:
//!
//! - Loans: `loans.rs` has the borrowers' part, `outcomes.rs` the workers', `tasks.rs` that of waiters without a thread.
//! - Which connections may be lent: `idle.rs`; `suspicion.rs`, what the death of one implies for the others; `young.rs`, for new ones.
//! - Supply: [`State::settle`] restores the invariants after each method (`supply.rs`, `opening.rs`). `ageing.rs` does what becomes due.
//! - Measurements: `patience.rs`, how long calls have lately taken; `promises.rs`, the calls under way; `flow.rs`, how fast loans
//!   return; `hope.rs`, whether they may; `doubt.rs`, whether sessions are dead or the server slow; `stalls.rs`, whether the process
//!   was suspended.
//! - Loans that bypass the lock: `fast.rs`; `cells.rs`, where their connections rest.
//! - Reading: `reports.rs`, the numbers; `overview.rs`, all details; `health.rs`; `remarks.rs`, the manager's remarks on servers.

pub(crate) mod actions;
mod ageing;
mod cells;
mod doubt;
mod fast;
mod flow;
mod health;
mod hope;
mod idle;
mod loans;
mod opening;
mod outcomes;
mod overview;
mod patience;
mod promises;
mod remarks;
pub(crate) mod reports;
pub(crate) mod stalls;
mod supply;
mod suspicion;
mod tasks;
#[cfg(all(test, not(loom)))]
mod tests;
mod young;

use crate::caches::Caches;
use crate::cause::Cause;
use crate::config::Config;
use crate::entry::Entry;
use crate::gate::Gate;
use crate::queue::Queue;
use crate::reason::CloseReason;
use crate::slots::{Borrower, Phase, SlotId, Slots};
use crate::state::actions::{Action, Actions, Delivery};
use crate::state::ageing::Round;
use crate::state::cells::FastLoans;
use crate::state::doubt::Doubt;
use crate::state::flow::Flow;
use crate::state::hope::Hope;
use crate::state::patience::Patience;
use crate::state::promises::Promises;
use crate::state::remarks::Remarks;
use crate::state::stalls::Stalls;
use crate::state::tasks::Tasks;
use crate::stats::Stats;
use crate::sync::after;
use crate::waiter::Wake;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Guarded by the pool's one lock. Owns no reference to the pool, and nothing whose destructor is user code except the idle entries, the
/// errors and the waiters' cells. These leave through [`Actions`] or a return value and are never dropped here.
pub(crate) struct State<C, E> {
    /// The newest is last, and is lent first.
    idle: Vec<Box<Entry<C>>>,
    /// No idle connection is fresh. A stale one becomes fresh only when it is put here again, or a suspicion is withdrawn.
    none_beneath: bool,
    queue: Queue<Delivery<C, E>>,
    tasks: Tasks,
    fast: FastLoans<C>,
    slots: Slots,
    gate: Gate,
    promises: Promises,
    patience: Patience,
    flow: Flow,
    hope: Hope,
    doubt: Doubt,
    /// The shortest time-out among the waiters.
    shortest_timeout: Duration,
    /// When a check or a reset was last answered, or a loan that used its connection came back sound.
    answered_at: Option<Instant>,
    /// When an attempt to connect last succeeded.
    opened_at: Option<Instant>,
    /// When the last doubt was raised.
    doubted_at: Option<Instant>,
    /// The last sign of life from the server before the last doubt.
    heard_before_doubt: Option<Instant>,
    /// After a stall of the process: no waiter is overdue until then.
    calm_until: Option<Instant>,
    rules: Rules,
    /// How many connections a check or a reset found at a server in the wrong role since the last successful check or opening.
    wrong_in_a_row: usize,
    /// Incremented by each suspicion.
    epoch: u64,
    /// A connection not proved in this epoch or a later one is checked before its next loan.
    epoch_needed: u64,
    /// Incremented by `evict_all`: connections of an older generation are closed.
    generation: u64,
    closed: bool,
    /// A caller that does not wait asked for a connection to be ready next time.
    one_wanted: bool,
    /// The one alarm that is ordered. Only the state decides which.
    alarm: Option<Instant>,
    /// When the maintenance is due. The alarm rings no later.
    maintenance: Option<Instant>,
    /// The maintenance under way. Until it ends, no other is ordered.
    round: Option<Round>,
    /// The next keepalive check begins no sooner.
    keepalive_at: Option<Instant>,
    /// The last error on connecting, if no success has followed it.
    last_error: Option<(Cause<E>, Instant)>,
    remarks: Remarks,
    /// To be woken when the first connections are open or have failed, or when the closed pool is empty.
    watchers: Vec<Wake>,
    /// When the two clocks were last compared: the monotonic and the wall clock.
    clocks: (Instant, Duration),
    stalls: Stalls,
    /// The counters. The gauges in it stay zero.
    counters: Stats,
    next_id: u64,
    random: fastrand::Rng,
}

/// The settings that the state needs. Those that `resize` changes are stored only here.
pub(crate) struct Rules {
    max_size: usize,
    min_idle: usize,
    max_waiters: usize,
    fairness_window: Duration,
    check_after: Duration,
    max_lifetime: Duration,
    lifetime_jitter: f64,
    idle_timeout: Duration,
    keepalive: Duration,
    leak_after: Duration,
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
            none_beneath: false,
            queue: Queue::new(),
            tasks: Tasks::new(config.reclaim_after),
            fast: FastLoans::new(config.max_size as usize),
            slots: Slots::new(),
            gate: Gate::new(config.backoff, config.connect_timeout, random.fork()),
            promises: Promises::default(),
            patience: Patience::new(config),
            flow: Flow::default(),
            hope: Hope::default(),
            doubt: Doubt::default(),
            shortest_timeout: Duration::MAX,
            answered_at: None,
            opened_at: None,
            doubted_at: None,
            heard_before_doubt: None,
            calm_until: None,
            rules,
            wrong_in_a_row: 0,
            epoch: 0,
            epoch_needed: 0,
            generation: 0,
            closed: false,
            one_wanted: false,
            alarm: None,
            maintenance: None,
            round: None,
            keepalive_at: None,
            last_error: None,
            remarks: Remarks::default(),
            watchers: Vec::new(),
            clocks: (now, wall),
            stalls: Stalls::default(),
            counters: Stats::default(),
            next_id: 1,
            random,
        }
    }

    /// The cells in which connections rest between two loans of their thread.
    pub(crate) fn caches(&self) -> &Arc<Caches<Entry<C>>> {
        self.fast.caches()
    }

    /// Ends lending: wakes all waiters and closes the idle connections. Returns whether the pool was open until now.
    pub(crate) fn close(&mut self, now: Instant, actions: &mut Actions<C, E>) -> bool {
        if std::mem::replace(&mut self.closed, true) {
            return false;
        }
        while !self.queue.is_empty() {
            actions.push(Action::Wake(self.queue.deliver(Delivery::Closed)));
        }
        self.shut(now, actions);
        self.reclaim_all(now, actions);
        self.close_idle(CloseReason::PoolClosed, 0, now, actions);
        actions.extend(self.last_error.take().map(|(cause, _)| Action::Drop(cause)));
        true
    }

    /// The alarm that is ordered, if any.
    #[cfg(all(test, loom))]
    pub(crate) fn alarm(&self) -> Option<Instant> {
        self.alarm
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Closes the idle connections now, and the lent ones when they return. Their replacements may be opened at once, because a
    /// corrected password may be the reason for the eviction.
    pub(crate) fn evict_all(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        self.generation += 1;
        self.gate.start_anew(now);
        self.shut(now, actions);
        self.close_idle(CloseReason::Evicted, 0, now, actions);
    }

    /// Sets both sizes. Closes the connections beyond `max_size`: idle ones now, lent ones when they return.
    pub(crate) fn resize(&mut self, max_size: usize, min_idle: usize, now: Instant, actions: &mut Actions<C, E>) {
        self.shut(now, actions);
        (self.rules.max_size, self.rules.min_idle) = (max_size, min_idle);
        let kept = self.idle.len().saturating_sub(self.surplus());
        self.close_idle(CloseReason::Surplus, kept, now, actions);
    }

    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.rules.max_size, self.rules.min_idle)
    }

    // Steps that several transactions share.

    #[inline]
    fn lend(&mut self, slot: SlotId, now: Instant, borrower: Borrower, actions: &mut Actions<C, E>) {
        let record = self.slots.lend(slot, now);
        (record.borrower, record.leak_reported) = (borrower, false);
        if self.rules.leak_after != Duration::MAX {
            if let Some(due) = after(now, self.rules.leak_after) {
                self.want_maintenance(due, now, actions);
            }
        }
    }

    fn deliver(&mut self, entry: Box<Entry<C>>, now: Instant, borrower: Borrower, actions: &mut Actions<C, E>) {
        self.lend(entry.slot_id, now, borrower, actions);
        // The loan begins at the delivery, not when it is collected.
        self.counters.checked_out_after_waiting += 1;
        self.expect_collection(now, actions);
        actions.push(Action::Wake(self.queue.deliver(Delivery::Connection(entry))));
    }

    fn close_entry(&mut self, entry: Box<Entry<C>>, reason: CloseReason, now: Instant, actions: &mut Actions<C, E>) {
        self.closing(entry.slot_id, reason, now);
        actions.push(Action::Close(entry, reason));
    }

    /// Closes the idle connections that were used the longest ago, until `kept` are left.
    fn close_idle(&mut self, reason: CloseReason, kept: usize, now: Instant, actions: &mut Actions<C, E>) {
        let surplus = self.idle.len().saturating_sub(kept);
        let closed: Vec<_> = self.idle.drain(..surplus).collect();
        self.moved_down(0, surplus);
        for entry in closed {
            self.close_entry(entry, reason, now, actions);
        }
    }

    /// `count` idle connections left at `place`. Those above are lower now, and a round must not skip them.
    fn moved_down(&mut self, place: usize, count: usize) {
        if let Some(round) = self.round.as_mut().filter(|round| place < round.place) {
            round.place = round.place.saturating_sub(count).max(place);
        }
    }

    /// A connection was inserted at `place`, so those above are higher now. (Its own due time was recorded when it was put.)
    fn moved_up(&mut self, place: usize) {
        if let Some(round) = self.round.as_mut().filter(|round| place < round.place) {
            round.place += 1;
        }
    }

    /// By how many connections `max_size` will be exceeded once those being closed are gone.
    #[inline]
    fn surplus(&self) -> usize {
        if self.slots.occupied() <= self.rules.max_size {
            return 0; // Whatever the slots contain: each loan asks twice.
        }
        let staying = self.slots.taken() - self.slots.count(Phase::Closing);
        staying.saturating_sub(self.rules.max_size)
    }
}
