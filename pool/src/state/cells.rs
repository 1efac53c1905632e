//! The cells as the state sees them: their version, the connections that may rest in them, and what their threads did last.

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
    /// A doubt was raised: what is parked must be looked at.
    pub(super) recalled: bool,
    /// How many loans have ended here since the cells were shut.
    pub(super) returns: usize,
    /// When it was last seen whether anything has rested in a cell for long, and from which cell on a borrower takes what it needs.
    looked_at: Option<Instant>,
    next: usize,
    /// The loan that began last here by the threads of each cell.
    last: Box<[Option<(usize, Instant)>]>,
    /// The connections that have a permit.
    pub(super) permits: Vec<SlotId>,
    /// Meters that are empty.
    pub(super) spare: Vec<Arc<CachePadded<Meter>>>,
    /// How many loans began and ended beside the lock, of those that were counted since.
    pub(super) begun: u64,
    pub(super) ended: u64,
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

    /// How busy is this thread? One that borrows now and then has no need of a cell, and what lies there is used by others only after a
    /// while: so a pool would not shrink to what is needed. One that is told to move leaves no mark, or the other would have to move, too.
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

    /// Is it time to see whether anything has rested in a cell for long?
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

    /// What has rested for long leaves its cell; what has not stays there.
    pub(super) fn rested(&self, now: Instant) -> Vec<Box<Entry<C>>> {
        let may_stay =
            |entry: &Entry<C>| entry.permit.as_ref().is_some_and(|permit| permit.may_stay(self.version, now));
        let look = |(_, cell): (_, &ThreadCell<Entry<C>>)| match cell.take()? {
            entry if may_stay(&entry) => cell.park(entry),
            entry => Some(entry),
        };
        self.caches.cells_from(0).filter_map(look).collect()
    }

    /// Takes one that is parked, from each cell in turn.
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
    /// Another thread with the same cell has begun one just now.
    Crowded,
}

/// Of a pool however small, where there are as many cores.
const FEWEST_CELLS: usize = 4;
