//! Loans of the world that end and begin outside the lock.

use super::world::{World, borrower};
use crate::entry::Entry;
use std::sync::Arc;

/// How a loan ends outside the lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parking {
    /// The cell.
    pub(super) seat: usize,
    pub(super) touched: bool,
    /// Its thread has read the version earlier, and parks by that.
    pub(super) is_late: bool,
}

impl World {
    /// A loan ends, and its connection is parked if allowed.
    pub(super) fn park(&mut self, pick: usize, Parking { seat, touched, is_late }: Parking) {
        let (now, caches) = (self.now, Arc::clone(self.state.caches()));
        let cell = caches.cell(seat);
        let count = self.lent.len().max(1);
        let Some((_, entry)) = self.lent.get_mut(pick % count) else { return };
        let (id, used) = (entry.id, now - entry.lent_at);
        let Some(permit) = entry.permit.as_mut().filter(|_| entry.condemned.is_none()) else { return };
        let version = if is_late { permit.version } else { cell.version() };
        if !permit.end(version, used, touched) {
            return;
        }
        let (_, mut entry) = self.lent.remove(pick % count);
        self.aborted.retain(|slot| *slot != entry.slot_id);
        self.book.facts(id).last_used = now;
        if touched {
            self.book.answered_at = Some(now);
        }
        entry.uses += 1;
        entry.last_used = now;
        let displaced = cell.park(entry);
        let late = if cell.version() == version { None } else { cell.take() };
        for entry in [displaced, late].into_iter().flatten() {
            self.bring_home(entry);
        }
        self.check();
    }

    /// A thread takes the connection in its cell, if allowed.
    pub(super) fn take_parked(&mut self, seat: usize) {
        let (now, caches) = (self.now, Arc::clone(self.state.caches()));
        let cell = caches.cell(seat);
        let Some(mut entry) = cell.take() else { return };
        let permit = entry.permit.as_mut().expect("it is parked");
        if !permit.begin(cell.version(), now, borrower(seat)) {
            self.bring_home(entry);
            return self.check();
        }
        entry.lent_at = now;
        self.book.lent(entry.id, now);
        self.assert_lendable(entry.id);
        assert!(self.waiting.is_empty(), "a waiter is queued");
        // No waiter has this number.
        self.lent.push((0, entry));
        self.check();
    }

    fn bring_home(&mut self, entry: Box<Entry<()>>) {
        let now = self.now;
        self.with(|state, actions| state.come_home(entry, now, actions));
    }

    /// The parked connections. Each must lie in an open cell.
    pub(super) fn parked(&self) -> Vec<u64> {
        let caches = self.state.caches();
        let mut parked = Vec::new();
        for (_, cell) in caches.cells_from(0) {
            let Some(entry) = cell.take() else { continue };
            let version = cell.version();
            assert!(version.is_open(), "parked in a shut cell: {}", self.summary());
            assert!(self.waiting.is_empty(), "parked though a waiter is queued: {}", self.summary());
            parked.push(entry.id);
            assert!(cell.park(entry).is_none());
        }
        parked
    }
}
