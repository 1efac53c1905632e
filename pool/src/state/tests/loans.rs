//! The holders' part of the world: loans end, in any shape.

use super::ops::Shape;
use super::world::{Broken, World};
use crate::entry::Entry;
use crate::reason::CloseReason;
use crate::state::State;
use crate::state::actions::{Actions, Work};

impl World {
    pub(super) fn check_in(&mut self, pick: usize, shape: Shape) {
        let Some((_, mut entry)) = self.take_loan(pick) else { return };
        let (now, id) = (self.now, entry.id);
        self.aborted.retain(|slot| *slot != entry.slot_id);
        if let Shape::Condemned(reason) = shape {
            entry.condemned = Some(reason);
            self.book.facts(id).condemned = true;
        }
        if matches!(entry.condemned, Some(CloseReason::Broken | CloseReason::WrongRole)) {
            self.book.died(id);
        }
        self.book.facts(id).last_used = now;
        entry.uses += 1;
        entry.was_touched = !matches!(shape, Shape::Untouched);
        if entry.condemned.is_none() && entry.was_touched {
            self.book.answered_at = Some(now);
        }
        let end = |state: &mut State<(), Broken>, actions: &mut Actions<(), Broken>| {
            match entry.condemned {
                Some(CloseReason::Broken) => state.broke_in_use(&entry, now, actions),
                Some(CloseReason::WrongRole) => state.wrong_role_in_use(&entry, now, actions),
                _ => {}
            }
            let (used, needs) = (now - entry.lent_at, matches!(shape, Shape::Soiled).then_some(Work::Reset));
            state.check_in(entry, used, needs, now, actions)
        };
        self.with_noted(end, |world, _| {
            world.note_stillborn();
            world.note_lifted();
        });
        self.check();
    }

    /// A connection dies where it is. The next look at it finds that.
    pub(super) fn kill(&mut self, pick: usize) {
        let count = self.book.alive.len().max(1);
        if let Some(facts) = self.book.alive.values_mut().nth(pick % count) {
            facts.dead = true;
        }
    }

    pub(super) fn detach(&mut self, pick: usize) {
        let Some((_, entry)) = self.take_loan(pick) else { return };
        self.aborted.retain(|slot| *slot != entry.slot_id);
        self.book.alive.remove(&entry.id);
        let now = self.now;
        self.with(|state, _| state.detached(entry.slot_id, now));
        self.check();
    }

    /// Aborts a loan, as the end of a pool does.
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
