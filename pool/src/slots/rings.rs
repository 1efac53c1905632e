//! The order in which loans and attempts to connect began.

use crate::slots::SlotId;

/// Two lists of slots, each in the order in which the slots were put in. A slot is in at most one of them. Each list is a ring, closed
/// by a link of its own, and a slot in neither is a ring by itself: so each has neighbours.
pub(super) struct Rings(Vec<Link>);

#[derive(Debug, Clone, Copy)]
struct Link {
    before: usize,
    behind: usize,
}

impl Rings {
    pub(super) fn new() -> Self {
        Self([LOANS, OPENINGS].map(|ring| Link { before: ring, behind: ring }).to_vec())
    }

    /// Makes room for one more slot.
    pub(super) fn make_room(&mut self) {
        let place = self.0.len();
        self.0.push(Link { before: place, behind: place });
    }

    #[inline]
    pub(super) fn put_last(&mut self, slot: SlotId, ring: usize) {
        // A thread that borrows again and again has the same slot each time.
        if self.0[ring].before != slot + FIRST_SLOT {
            self.move_last(slot, ring);
        }
    }

    fn move_last(&mut self, slot: SlotId, ring: usize) {
        self.take_out(slot);
        let place = slot + FIRST_SLOT;
        let before = std::mem::replace(&mut self.0[ring].before, place);
        self.0[place] = Link { before, behind: ring };
        self.0[before].behind = place;
    }

    pub(super) fn take_out(&mut self, slot: SlotId) {
        let place = slot + FIRST_SLOT;
        let Link { before, behind } = std::mem::replace(&mut self.0[place], Link { before: place, behind: place });
        self.0[before].behind = behind;
        self.0[behind].before = before;
    }

    /// The slot after this one in its ring; after `None`, the first.
    pub(super) fn behind(&self, slot: Option<SlotId>, ring: usize) -> Option<SlotId> {
        let place = slot.map_or(ring, |slot| slot + FIRST_SLOT);
        self.0[place].behind.checked_sub(FIRST_SLOT)
    }

    /// The slot before this one in its ring; before `None`, the last.
    pub(super) fn before(&self, slot: Option<SlotId>, ring: usize) -> Option<SlotId> {
        let place = slot.map_or(ring, |slot| slot + FIRST_SLOT);
        self.0[place].before.checked_sub(FIRST_SLOT)
    }
}

/// The links that close the rings come before those of the slots.
pub(super) const LOANS: usize = 0;
pub(super) const OPENINGS: usize = 1;
const FIRST_SLOT: usize = 2;
