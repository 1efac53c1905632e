//! Loans that concern nobody else, and so need not pass the lock: which connections may rest in their thread's cell, and when all of
//! them come back.
//!
//! To the state such a connection is lent, whether it is in a hand or in a cell; its meter says which. The cells are shut while anything
//! goes on that each loan must see ([`State::concerns_all`]), and open again after as many returns as there are cells, when
//! nobody waits.

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
    /// Gives a connection that is lent a permit to be parked at the end of its loan, if its thread is busy. Returns whether another
    /// thread with the same seat is, too: then this one had better change it.
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

    /// One whose session is reset each time gains nothing by a permit. Of one that is on trial, or as young while the last young ones
    /// died, the end of each loan must be heard.
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

    /// A connection that had a permit is here: what its meter has counted is counted now.
    #[inline]
    pub(super) fn take_permit(&mut self, entry: &mut Entry<C>) {
        if entry.permit.take().is_some() {
            self.end_permit(entry.slot_id);
        }
    }

    /// The permit of the connection in `slot`, if it has one, is over.
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

    /// A connection that was parked, or was to be, is idle here, or closed.
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

    /// Does anything go on that each loan must see?
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

    /// All that is parked comes back, and nothing is parked from here on.
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

    /// When the loans that passed the lock by last used their connections.
    pub(super) fn hear_of_answers(&mut self) {
        let last = self.metered().filter_map(|(_, meter)| meter.answered()).max();
        self.answered_at = self.answered_at.max(last);
    }

    /// A thread borrows here, so others may not borrow any more: what they have parked long ago comes home. Else a pool would not shrink
    /// to what is used, where many threads borrow now and then.
    #[inline]
    pub(crate) fn call_rested(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        if self.fast.is_time_to_look(now) {
            let rested = self.fast.rested(now);
            self.take_in(rested, now, actions);
        }
    }

    /// Nothing is idle here: one that is parked comes home, for somebody else needs it.
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

    /// Nobody waits: after a while the cells are opened.
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

    /// The meters in use, and in which phase their connections are.
    pub(super) fn metered(&self) -> impl Iterator<Item = (Phase, &Meter)> {
        self.fast.permits().filter_map(|slot| {
            let record = self.slots.find(slot)?;
            Some((record.phase, &***record.meter.as_ref()?))
        })
    }
}

/// So many connections for each cell may have a permit: those of threads that do not run just now have one, too.
const MOST_PERMITS: usize = 4;
