//! Loans that concern no other thread, and therefore need no lock: which connections may rest in their thread's cell, and when all of
//! them return.
//!
//! The state counts such a connection as lent, whether a caller or a cell has it. Its meter shows which. The cells are shut while there
//! is something that each loan must see ([`State::concerns_all`]). They open again after as many returns as there are cells, when no
//! request waits.

use crate::entry::{Entry, Permit};
use crate::gate::YOUNG;
use crate::meter::Meter;
use crate::reason::CloseReason;
use crate::seeded;
use crate::slots::{Borrower, Phase, SlotId};
use crate::state::State;
use crate::state::actions::Actions;
use crate::state::cells::Pace;
use std::sync::Arc;
use std::time::Instant;

impl<C, E> State<C, E> {
    /// Gives a lent connection a permit to be parked at the end of its loan, if its thread is busy. Returns whether another thread with
    /// the same seat is busy, too; then this one should change its seat.
    #[inline]
    pub(crate) fn permit(
        &mut self,
        entry: &mut Entry<C>,
        now: Instant,
        borrower: Borrower,
        (thread, seat): (usize, usize),
    ) -> bool {
        let pace = self.fast.pace(seat, thread, now);
        let has_room = self.fast.permits.len() < MOST_PERMITS * self.fast.caches.count();
        if pace == Pace::Busy && self.fast.is_open() && has_room && self.may_rest(entry, now) {
            self.grant(entry, now, borrower);
        }
        pace == Pace::Crowded
    }

    /// A connection whose session is reset each time gains nothing from a permit. If it is on trial, or young while the last young ones
    /// died, the state must see how each of its loans ends.
    fn may_rest(&self, entry: &Entry<C>, now: Instant) -> bool {
        !(entry.was_soiled || entry.on_trial || self.gate.is_cold() && entry.age(now) < YOUNG)
    }

    fn grant(&mut self, entry: &mut Entry<C>, now: Instant, borrower: Borrower) {
        let meter = self.fast.spare.pop().unwrap_or_else(|| Meter::new(now));
        let lent_at = meter.ticks(now);
        meter.start(lent_at, borrower);
        let good_until = entry.fresh_until.into_iter().chain(entry.expires).min();
        let good_until = good_until.map_or(u64::MAX, |until| meter.ticks(until));
        self.slots.get(entry.slot_id).meter = Some(Arc::clone(&meter));
        self.fast.permits.push(entry.slot_id);
        entry.permit = Some(Permit { version: self.fast.version, good_until, lent_at, parked_at: lent_at, meter });
    }

    /// Ends the permit of a connection that has returned, if it has one.
    #[inline]
    pub(super) fn take_permit(&mut self, entry: &mut Entry<C>) {
        if entry.permit.take().is_some() {
            self.end_permit(entry.slot_id);
        }
    }

    /// Ends the permit of the connection in `slot`, if it has one, and adds its meter to the counters.
    pub(super) fn end_permit(&mut self, slot: SlotId) {
        let Some(meter) = self.slots.get(slot).meter.take() else { return };
        self.fast.permits.retain(|&other| other != slot);
        self.answered_at = self.answered_at.max(meter.answered());
        let turns = meter.turns();
        self.fast.begun += turns.begun();
        self.fast.ended += turns.ended();
        self.counters.checked_out_at_once += turns.begun();
        self.counters.returned += turns.ended();
        self.counters.resets_skipped += turns.ended();
        meter.add_to(&mut self.counters.use_time);
        meter.clear();
        if self.fast.spare.len() < self.fast.caches.count() {
            self.fast.spare.push(meter);
        }
    }

    /// A connection that was parked, was about to be, or was rejected at checkout becomes idle, in the order of last use, or is closed.
    pub(crate) fn come_home(&mut self, mut entry: Box<Entry<C>>, now: Instant, actions: &mut Actions<C, E>) {
        let is_late = entry.permit.as_ref().is_some_and(|permit| permit.version != self.fast.version);
        self.take_permit(&mut entry);
        if is_late && seeded::bug("keeps_what_comes_home_late") {
            self.slots.enter(entry.slot_id, Phase::Idle, now);
            return self.idle.push(entry);
        }
        if self.slots.get(entry.slot_id).comes_back(entry.uses) {
            entry.condemned.get_or_insert(CloseReason::Overran);
        }
        let idle = self.idle.len();
        self.put(entry, now, actions);
        if self.idle.len() > idle {
            self.sink(now);
        }
    }

    /// Whether there is something that each loan must see.
    #[inline]
    fn concerns_all(&self) -> bool {
        self.fast.recalled || self.closed || !self.queue.is_empty() || self.one_wanted
    }

    /// Shuts the cells if this change concerns each loan.
    #[inline]
    pub(super) fn shut_if_needed(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        if self.fast.is_open() && self.concerns_all() {
            self.shut(now, actions);
        }
    }

    /// Takes back all parked connections. Until the cells open again, none is parked.
    pub(super) fn shut(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        self.fast.recalled = false;
        self.fast.returns = 0;
        if !self.fast.is_open() {
            return;
        }
        self.fast.version = self.fast.version.next();
        let parked = self.fast.caches.sweep(self.fast.version).collect();
        self.take_in(parked, now, actions);
        self.hear_of_answers();
    }

    /// Takes over from the meters when a loan that bypassed the lock last used its connection.
    pub(super) fn hear_of_answers(&mut self) {
        let last = self.metered().filter_map(|(_, meter)| meter.answered()).max();
        self.answered_at = self.answered_at.max(last);
    }

    /// A thread borrows under the lock, so others may have stopped borrowing: takes back what they parked long ago. Otherwise a pool
    /// would not shrink to the connections in use where many threads borrow now and then.
    #[inline]
    pub(crate) fn call_rested(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        if self.fast.is_time_to_look(now) {
            let rested = self.fast.rested(now);
            self.take_in(rested, now, actions);
        }
    }

    /// Nothing is idle here: takes back one parked connection for another borrower.
    pub(super) fn call_one(&mut self, now: Instant, actions: &mut Actions<C, E>) -> bool {
        let may_be = self.fast.is_open() && !self.fast.permits.is_empty();
        let parked = if may_be { self.fast.take_one() } else { None };
        let Some(entry) = parked else { return false };
        self.come_home(entry, now, actions);
        true
    }

    fn take_in(&mut self, parked: Vec<Box<Entry<C>>>, now: Instant, actions: &mut Actions<C, E>) {
        for entry in parked {
            self.come_home(entry, now, actions);
        }
    }

    /// No request waits: opens the cells after enough returns.
    #[inline]
    pub(super) fn open_when_quiet(&mut self) {
        if !self.fast.is_open() && self.fast.returns >= self.fast.caches.count() {
            self.open_cells();
        }
    }

    fn open_cells(&mut self) {
        self.fast.returns = 0;
        if !self.concerns_all() {
            self.fast.version = self.fast.version.next();
            self.fast.caches.open(self.fast.version);
        }
    }

    /// The meters in use, and the phases of their connections.
    pub(super) fn metered(&self) -> impl Iterator<Item = (Phase, &Meter)> {
        self.fast.permits().filter_map(|slot| {
            let record = self.slots.find(slot)?;
            Some((record.phase, &***record.meter.as_ref()?))
        })
    }
}

/// The maximum of connections with a permit, per cell. Threads that are not running at the moment have one, too.
const MOST_PERMITS: usize = 4;
