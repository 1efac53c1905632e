//! Loans of the simulation that begin and end outside the lock, as in `checkout/lane.rs` and `checkin.rs`.

use super::callers::borrower;
use super::server::LineId;
use super::world::World;
use crate::entry::Entry;
use std::sync::Arc;

impl World {
    /// Takes the connection that this caller has parked, if allowed.
    pub(super) fn take_parked(&mut self, caller: usize) -> Option<Box<Entry<LineId>>> {
        let (now, caches) = (self.now, Arc::clone(self.state.caches()));
        let cell = caches.cell(caller);
        let mut entry = cell.take()?;
        let permit = entry.permit.as_mut().expect("it is parked");
        if permit.begin(cell.version(), now, borrower(caller)) {
            self.parked_loans += 1;
            return Some(entry);
        }
        self.with(|state, actions| state.come_home(entry, now, actions));
        None
    }

    /// Ends a loan. Returns its connection if it may not be parked.
    pub(super) fn park(&mut self, caller: usize, mut entry: Box<Entry<LineId>>) -> Option<Box<Entry<LineId>>> {
        let (now, caches) = (self.now, Arc::clone(self.state.caches()));
        let cell = caches.cell(caller);
        let (used, touched) = (now - entry.lent_at, entry.was_touched);
        let is_plain = entry.condemned.is_none() && !entry.was_soiled;
        let permit = entry.permit.as_mut().filter(|_| is_plain);
        if !permit.is_some_and(|permit| permit.end(cell.version(), used, touched)) {
            return Some(entry);
        }
        entry.last_used = now;
        if let Some(displaced) = cell.park(entry) {
            self.with(|state, actions| state.come_home(displaced, now, actions));
        }
        None
    }
}
