//! The cells from the state's side: their version, the connections that may rest in them, and the last loan of the threads of each cell.

use crate::caches::{Caches, ThreadCell, Version};
use crate::entry::{BUSY, Entry};
use crate::meter::Meter;
use crate::slots::SlotId;
use crate::sync;
use crossbeam_utils::CachePadded;
use std::sync::Arc;
use std::time::Instant;

pub(super) struct FastLoans<C> {
    pub(super) caches: Arc<Caches<Entry<C>>>,
    pub(super) version: Version,
    /// Parked connections must return to the state with this change.
    pub(super) recalled: bool,
    /// How many loans have ended under the lock since the cells were shut.
    pub(super) returns: usize,
    /// When the cells were last searched for connections that have rested too long, and where the next search for a parked one starts.
    looked_at: Option<Instant>,
    next: usize,
    /// For each cell, the last loan that its threads began under the lock.
    last: Box<[Option<(usize, Instant)>]>,
    pub(super) permits: Vec<SlotId>,
    /// Meters that are empty, to be used again.
    pub(super) spare: Vec<Arc<CachePadded<Meter>>>,
    /// How many loans began and ended without the lock, as far as their meters have been added to the counters.
    pub(super) begun: u64,
    pub(super) ended: u64,
}

impl<C> FastLoans<C> {
    pub(super) fn new(max_size: usize) -> Self {
        // A pool may grow, but the number of its cells does not.
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

    /// Parked connections must return with this change.
    pub(super) fn recall(&mut self) {
        self.recalled = self.is_open();
    }

    /// A loan has ended under the lock.
    #[inline]
    pub(super) fn returned(&mut self) {
        self.returns += 1;
    }

    /// How many loans in the counters began and ended without the lock.
    pub(super) fn counted(&self) -> (u64, u64) {
        (self.begun, self.ended)
    }

    pub(super) fn permits(&self) -> impl Iterator<Item = SlotId> {
        self.permits.iter().copied()
    }

    pub(super) fn permit_count(&self) -> usize {
        self.permits.len()
    }

    /// Returns how busy this thread is. A thread that borrows only now and then does not need a cell, and other threads get what lies
    /// there only after a while, so the pool would not shrink to the connections that it needs. A crowded thread leaves no mark, or the
    /// other thread would have to move as well.
    #[inline]
    pub(super) fn pace(&mut self, seat: usize, thread: usize, now: Instant) -> Pace {
        let last = &mut self.last[self.caches.place(seat)];
        let before = last.filter(|(_, at)| now.saturating_duration_since(*at) <= BUSY);
        if before.is_some_and(|(other, _)| other != thread) {
            return Pace::Crowded;
        }
        *last = Some((thread, now));
        if before.is_some() { Pace::Busy } else { Pace::Slow }
    }

    /// Whether it is time to search the cells for connections that have rested too long.
    #[inline]
    pub(super) fn is_time_to_look(&mut self, now: Instant) -> bool {
        let is_time = !self.permits.is_empty()
            && self.is_open()
            && self.looked_at.is_none_or(|at| now.saturating_duration_since(at) > BUSY);
        if is_time {
            self.looked_at = Some(now);
        }
        is_time
    }

    /// Takes the connections that have rested too long out of their cells. The others stay there.
    pub(super) fn rested(&self, now: Instant) -> Vec<Box<Entry<C>>> {
        let may_stay =
            |entry: &Entry<C>| entry.permit.as_ref().is_some_and(|permit| permit.may_stay(self.version, now));
        let look = |(_, cell): (_, &ThreadCell<Entry<C>>)| match cell.take()? {
            entry if may_stay(&entry) => cell.park(entry),
            entry => Some(entry),
        };
        self.caches.cells_from(0).filter_map(look).collect()
    }

    /// Takes one parked connection, from each cell in turn.
    pub(super) fn take_one(&mut self) -> Option<Box<Entry<C>>> {
        let (seat, entry) = self.caches.cells_from(self.next).find_map(|(seat, cell)| Some((seat, cell.take()?)))?;
        self.next = self.caches.place(seat + 1);
        Some(entry)
    }
}

/// How often a thread borrows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Slow,
    /// Its last loan began just now.
    Busy,
    /// Another thread with the same cell has begun a loan just now.
    Crowded,
}

/// The minimum, even for a small pool, if there are enough cores.
const FEWEST_CELLS: usize = 4;
