//! The cells in which connections rest between two loans of the same thread, outside the pool's lock. Each thread has a cell, as long as
//! there are enough. The state decides which connections cells may hold and when to empty them.
//!
//! A cell has a *version*, and a parked connection has the version in which it may rest. The state increments the version, under the
//! lock, before it empties the cells:
//!
//! ```text
//! return:    swap in  -> its version?  no: swap out again
//! checkout:  swap out -> its version?  no: to the state
//! sweep:     increment the version -> swap out
//! ```
//!
//! A return and a sweep swap the same cell, and the swaps of one cell have an order. If the return's comes first, the sweep finds what
//! was parked. If the sweep's comes first, the return's swap reads what it wrote, and so the return sees the new version. For that the
//! swap acquires and releases; the version itself may be relaxed.

use crate::seeded;
use crate::sync::{AtomicU64, Ordering, SwapCell};
use crossbeam_utils::CachePadded;

pub(crate) struct Caches<T>(Box<[CachePadded<ThreadCell<T>>]>);

/// Where the threads of some seats park a connection between two loans.
pub(crate) struct ThreadCell<T> {
    /// Even: open. Odd: shut.
    version: AtomicU64,
    parked: SwapCell<T>,
}

/// A version of the cells. A permit never has a shut one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(u64);

impl Version {
    /// The version of cells that were never open.
    pub(crate) const FIRST: Self = Self(1);

    #[inline]
    pub(crate) fn is_open(self) -> bool {
        self.0 % 2 == 0
    }

    /// The next version, which is shut if this one is open.
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl<T> ThreadCell<T> {
    #[inline]
    pub(crate) fn version(&self) -> Version {
        Version(self.version.load(Ordering::Relaxed))
    }

    /// Takes what is parked here.
    #[inline]
    pub(crate) fn take(&self) -> Option<Box<T>> {
        self.parked.swap(None)
    }

    /// Parks `value`. Returns what lay here before. The caller must read the version after this.
    #[inline]
    pub(crate) fn park(&self, value: Box<T>) -> Option<Box<T>> {
        self.parked.swap(Some(value))
    }
}

impl<T> Caches<T> {
    /// At least `count` cells, all shut.
    pub(crate) fn new(count: usize) -> Self {
        let version = || AtomicU64::new(Version::FIRST.0);
        let cell = || CachePadded::new(ThreadCell { version: version(), parked: SwapCell::new() });
        Self((0..count.next_power_of_two()).map(|_| cell()).collect())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The index of the cell for this seat.
    #[inline]
    pub(crate) fn place(&self, seat: usize) -> usize {
        seat & (self.0.len() - 1)
    }

    /// The cell for this seat.
    #[inline]
    pub(crate) fn cell(&self, seat: usize) -> &ThreadCell<T> {
        &self.0[self.place(seat)]
    }

    /// Each cell, beginning with that of this seat.
    pub(crate) fn cells_from(&self, seat: usize) -> impl Iterator<Item = (usize, &ThreadCell<T>)> {
        (seat..seat + self.count()).map(|seat| (seat, self.cell(seat)))
    }

    /// Opens all cells. A connection left by a late return has an older version, and is not lent.
    pub(crate) fn open(&self, version: Version) {
        for cell in &self.0 {
            cell.version.store(version.0, Ordering::Relaxed);
        }
    }

    /// Shuts all cells. Returns what was parked.
    pub(crate) fn sweep(&self, version: Version) -> impl Iterator<Item = Box<T>> {
        let empties_first = seeded::bug("empties_a_cache_before_it_shuts_it");
        self.0.iter().filter_map(move |cell| {
            let early = if empties_first { cell.take() } else { None };
            cell.version.store(version.0, Ordering::Relaxed);
            if empties_first { early } else { cell.take() }
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn open() -> (Caches<u32>, Version) {
        let (caches, version) = (Caches::new(3), Version::FIRST.next());
        caches.open(version);
        (caches, version)
    }

    #[test]
    fn there_are_as_many_as_a_power_of_two_and_each_seat_has_one() {
        let (caches, _) = open();
        assert_eq!(caches.count(), 4);
        assert_eq!((0..8).map(|seat| caches.place(seat)).collect::<Vec<_>>(), [0, 1, 2, 3, 0, 1, 2, 3]);
    }

    #[test]
    fn what_is_parked_is_taken_once_and_what_lay_there_is_displaced() {
        let (caches, _) = open();
        assert_eq!(caches.cell(2).park(Box::new(7)), None);
        assert_eq!(caches.cell(2).park(Box::new(8)), Some(Box::new(7)));
        assert_eq!(caches.cell(1).take(), None);
        assert_eq!(caches.cell(2).take(), Some(Box::new(8)));
        assert_eq!(caches.cell(2).take(), None);
    }

    #[test]
    fn no_version_comes_back() {
        let (caches, version) = open();
        let shut = version.next();
        assert_eq!(caches.sweep(shut).count(), 0);
        assert_eq!((caches.cell(0).version(), shut.is_open()), (shut, false));
        caches.open(shut.next());
        assert_ne!(caches.cell(0).version(), version);
        assert!(caches.cell(0).version().is_open());
    }

    #[test]
    fn a_sweep_takes_all_and_shuts() {
        let (caches, version) = open();
        for place in 1..4 {
            caches.cell(place).park(Box::new(place as u32));
        }
        assert_eq!(caches.sweep(version.next()).map(|value| *value).collect::<Vec<_>>(), [1, 2, 3]);
        assert!((0..4).all(|place| !caches.cell(place).version().is_open()));
    }
}
