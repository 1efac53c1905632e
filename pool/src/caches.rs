//! The cells in which connections rest between two loans of the same thread, beside the pool's lock. Each thread has a cell, as long as
//! there are enough. What may lie in a cell, and when all are emptied, is the state's business.
//!
//! A cell has a *version*. What is parked bears the version in which it may be; the state raises it, under the lock, before it empties
//! the cells:
//!
//! ```text
//! return:    swap in  -> version as it bears?  no: swap out again
//! checkout:  swap out -> version as it bears?  no: to the state
//! sweep:     raise the version -> swap out
//! ```
//!
//! A return and a sweep swap the same cell, and swaps of one cell have an order. If the return's comes first, the sweep finds what was
//! parked. If the sweep's comes first, the return's swap reads what it wrote, and so the return sees the raised version. For that the
//! swap acquires and releases; the version itself may be relaxed.

use crate::seeded;
use crate::sync::{AtomicU64, Ordering, SwapCell};
use crossbeam_utils::CachePadded;

/// One cell for each of some threads.
pub(crate) struct Caches<T>(Box<[CachePadded<Cache<T>>]>);

struct Cache<T> {
    /// Even: it may be used. Odd: it is shut.
    version: AtomicU64,
    parked: SwapCell<T>,
}

/// Says in which version something may be parked. Never a shut one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(u64);

impl Version {
    /// That of cells that were never open.
    pub(crate) const FIRST: Self = Self(1);

    #[inline]
    pub(crate) fn is_open(self) -> bool {
        self.0 % 2 == 0
    }

    /// The next, which is shut if this is open.
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl<T> Caches<T> {
    /// At least `count`, all shut.
    pub(crate) fn new(count: usize) -> Self {
        let cache = || CachePadded::new(Cache { version: AtomicU64::new(Version::FIRST.0), parked: SwapCell::new() });
        Self((0..count.next_power_of_two()).map(|_| cache()).collect())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Which of them a thread with this seat uses.
    #[inline]
    pub(crate) fn place(&self, seat: usize) -> usize {
        seat & (self.0.len() - 1)
    }

    #[inline]
    pub(crate) fn version(&self, place: usize) -> Version {
        Version(self.0[place].version.load(Ordering::Relaxed))
    }

    /// Takes what is parked there.
    #[inline]
    pub(crate) fn take(&self, place: usize) -> Option<Box<T>> {
        self.0[place].parked.swap(None)
    }

    /// Parks `value`. Returns what lay there before. The caller looks at the version after this.
    #[inline]
    pub(crate) fn park(&self, place: usize, value: Box<T>) -> Option<Box<T>> {
        self.0[place].parked.swap(Some(value))
    }

    /// Opens all of them. What a late return has left in one bears an older version, and is not lent.
    pub(crate) fn open(&self, version: Version) {
        for cache in &self.0 {
            cache.version.store(version.0, Ordering::Relaxed);
        }
    }

    /// Shuts all of them. Returns what was parked.
    pub(crate) fn sweep(&self, version: Version) -> impl Iterator<Item = Box<T>> {
        let empties_first = seeded::bug("empties_a_cache_before_it_shuts_it");
        self.0.iter().filter_map(move |cache| {
            let early = if empties_first { cache.parked.swap(None) } else { None };
            cache.version.store(version.0, Ordering::Relaxed);
            if empties_first { early } else { cache.parked.swap(None) }
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
        assert_eq!(caches.park(2, Box::new(7)), None);
        assert_eq!(caches.park(2, Box::new(8)), Some(Box::new(7)));
        assert_eq!(caches.take(1), None);
        assert_eq!(caches.take(2), Some(Box::new(8)));
        assert_eq!(caches.take(2), None);
    }

    #[test]
    fn no_version_comes_back() {
        let (caches, version) = open();
        let shut = version.next();
        assert_eq!(caches.sweep(shut).count(), 0);
        assert_eq!((caches.version(0), shut.is_open()), (shut, false));
        caches.open(shut.next());
        assert_ne!(caches.version(0), version);
        assert!(caches.version(0).is_open());
    }

    #[test]
    fn a_sweep_takes_all_and_shuts() {
        let (caches, version) = open();
        for place in 1..4 {
            caches.park(place, Box::new(place as u32));
        }
        assert_eq!(caches.sweep(version.next()).map(|value| *value).collect::<Vec<_>>(), [1, 2, 3]);
        assert!((0..4).all(|place| !caches.version(place).is_open()));
    }
}
