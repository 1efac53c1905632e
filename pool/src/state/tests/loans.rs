//! The holders' part of the world: loans end, in whatever shape.

use super::ops::Shape;
use super::world::World;
use crate::entry::Entry;
use crate::reason::CloseReason;

impl World {
    pub(super) fn check_in(&mut self, pick: usize, shape: Shape) {
        let Some((_, mut entry)) = self.take_loan(pick) else { return };
        let (now, id) = (self.now, entry.id);
        self.aborted.retain(|slot| *slot != entry.slot_id);
        if let Shape::Condemned(reason) = shape {
            entry.condemned = Some(reason);
            self.book.facts(id).condemned = true;
        }
        if entry.condemned == Some(CloseReason::Broken) {
            self.book.died(id);
        }
        self.book.facts(id).last_used = now;
        self.with(|state, actions| {
            if entry.condemned == Some(CloseReason::Broken) {
                state.died(&entry);
            }
            state.check_in(entry, matches!(shape, Shape::Soiled), now, actions)
        });
        self.check();
    }

    pub(super) fn detach(&mut self, pick: usize) {
        let Some((_, entry)) = self.take_loan(pick) else { return };
        self.aborted.retain(|slot| *slot != entry.slot_id);
        self.book.alive.remove(&entry.id);
        let now = self.now;
        self.with(|state, _| state.detached(entry.slot_id, now));
        self.check();
    }

    /// As at the end of a pool, whose loans are aborted.
    pub(super) fn abort_loan(&mut self, pick: usize) {
        if self.lent.is_empty() || !self.book.closed {
            return;
        }
        let (now, slot) = (self.now, self.lent[pick % self.lent.len()].1.slot_id);
        if !self.aborted.contains(&slot) {
            self.aborted.push(slot);
            self.with(|state, _| state.aborted(slot, now));
            self.check();
        }
    }

    fn take_loan(&mut self, pick: usize) -> Option<(usize, Box<Entry<()>>)> {
        (!self.lent.is_empty()).then(|| self.lent.remove(pick % self.lent.len()))
    }
}
