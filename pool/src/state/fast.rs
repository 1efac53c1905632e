//! Loans that concern nobody else, and so need not pass the lock: which connections may rest in their thread's cell, and when all of
//! them come back.
//!
//! To the state such a connection is lent, whether it is in a hand or in a cell; its meter says which. The cells are shut while anything
//! goes on that each loan must see ([`State::concerns_all`]), and open again after as many returns as there are cells with nobody
//! waiting.

use crate::caches::{Caches, ThreadCell, Version};
use crate::entry::{BUSY, Entry, Permit};
use crate::gate::YOUNG;
use crate::meter::Meter;
use crate::reason::CloseReason;
use crate::seeded;
use crate::slots::{Borrower, Phase, SlotId};
use crate::state::State;
use crate::state::actions::Actions;
use crate::sync;
use crossbeam_utils::CachePadded;
use std::sync::Arc;
use std::time::Instant;

pub(super) struct FastLoans<C> {
    caches: Arc<Caches<Entry<C>>>,
    version: Version,
    /// A doubt was raised: what is parked must be looked at.
    recalled: bool,
    /// How many loans have ended here since the cells were shut or somebody waited.
    returns: usize,
    /// When it was last seen whether anything has rested in a cell for long, and from which cell on a borrower takes what it needs.
    looked_at: Option<Instant>,
    next: usize,
    /// The loan that began last here by the threads of each cell.
    last: Box<[Option<(usize, Instant)>]>,
    /// The connections that have a permit.
    permits: Vec<SlotId>,
    /// Meters that are empty.
    spare: Vec<Arc<CachePadded<Meter>>>,
    /// How many loans began and ended beside the lock, of those that were counted since.
    begun: u64,
    ended: u64,
}

impl<C> FastLoans<C> {
    pub(super) fn new(max_size: usize) -> Self {
        // A pool may grow, but not its cells.
        let count = max_size.max(FEWEST_CELLS).min(2 * sync::cores());
        let caches = Arc::new(Caches::new(count));
        let last = vec![None; caches.count()].into_boxed_slice();
        Self {
            caches,
            version: Version::FIRST,
            recalled: false,
            returns: 0,
            looked_at: None,
            next: 0,
            last,
            permits: Vec::new(),
            spare: Vec::new(),
            begun: 0,
            ended: 0,
        }
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.version.is_open()
    }

    pub(super) fn caches(&self) -> &Arc<Caches<Entry<C>>> {
        &self.caches
    }

    /// What is parked must come back with this change.
    pub(super) fn recall(&mut self) {
        self.recalled = self.is_open();
    }

    /// A loan has ended here.
    #[inline]
    pub(super) fn returned(&mut self) {
        self.returns += 1;
    }

    /// How many loans began and ended beside the lock, of those that are in the counters.
    pub(super) fn counted(&self) -> (u64, u64) {
        (self.begun, self.ended)
    }

    pub(super) fn permits(&self) -> impl Iterator<Item = SlotId> {
        self.permits.iter().copied()
    }

    pub(super) fn permit_count(&self) -> usize {
        self.permits.len()
    }

    /// How busy is this thread? One that borrows now and then has no need of a cell, and what lies there is not used by others: so a
    /// pool would not shrink to what is needed.
    #[inline]
    fn pace(&mut self, seat: usize, thread: usize, now: Instant) -> Pace {
        let last = &mut self.last[self.caches.place(seat)];
        match last.replace((thread, now)) {
            Some((_, at)) if now.saturating_duration_since(at) > BUSY => Pace::Slow,
            Some((other, _)) if other != thread => Pace::Crowded,
            Some(_) => Pace::Busy,
            None => Pace::Slow,
        }
    }

    /// Is it time to see whether anything has rested in a cell for long?
    #[inline]
    fn is_time_to_look(&mut self, now: Instant) -> bool {
        let is_time = self.is_open() && self.looked_at.is_none_or(|at| now.saturating_duration_since(at) > BUSY);
        if is_time {
            self.looked_at = Some(now);
        }
        is_time
    }

    /// What has rested for long leaves its cell; what has not stays there.
    fn rested(&self, now: Instant) -> Vec<Box<Entry<C>>> {
        let may_stay =
            |entry: &Entry<C>| entry.permit.as_ref().is_some_and(|permit| permit.may_stay(self.version, now));
        let look = |(_, cell): (_, &ThreadCell<Entry<C>>)| match cell.take()? {
            entry if may_stay(&entry) => cell.park(entry),
            entry => Some(entry),
        };
        self.caches.cells_from(0).filter_map(look).collect()
    }

    /// Takes one that is parked, from each cell in turn.
    fn take_one(&mut self) -> Option<Box<Entry<C>>> {
        let (seat, entry) = self.caches.cells_from(self.next).find_map(|(seat, cell)| Some((seat, cell.take()?)))?;
        self.next = self.caches.place(seat + 1);
        Some(entry)
    }
}

/// How often a thread borrows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Slow,
    /// Its last loan began just now.
    Busy,
    /// Another thread with the same cell has begun one just now.
    Crowded,
}

impl<C, E> State<C, E> {
    /// Gives a connection that is lent a permit to be parked at the end of its loan, if its thread is busy. Returns whether another
    /// thread with the same seat is, too: then this one had better change it.
    #[inline]
    pub(crate) fn permit(&mut self, entry: &mut Entry<C>, now: Instant, borrower: Borrower, seat: usize) -> bool {
        let pace = self.fast.pace(seat, borrower.thread, now);
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
        if self.slots.get(entry.slot_id).comes_back() {
            entry.condemned.get_or_insert(CloseReason::Overran);
        }
        self.put(entry, now, actions);
        self.sink();
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
        let parked = if self.fast.is_open() { self.fast.take_one() } else { None };
        let Some(entry) = parked else { return false };
        self.come_home(entry, now, actions);
        true
    }

    fn take_in(&mut self, parked: Vec<Box<Entry<C>>>, now: Instant, actions: &mut Actions<C, E>) {
        for entry in parked {
            self.come_home(entry, now, actions);
        }
    }

    /// Somebody waits: the loans that have ended do not count.
    pub(super) fn not_quiet(&mut self) {
        self.fast.returns = 0;
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
/// Of a pool however small, where there are as many cores.
const FEWEST_CELLS: usize = 4;
