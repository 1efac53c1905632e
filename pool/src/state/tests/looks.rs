//! The borrowers' looks at the connections lent to them, as the way out does them.

use super::waiting::Manner;
use super::world::World;
use crate::entry::Entry;
use crate::gate::Stage;
use crate::reason::CloseReason;
use std::time::{Duration, Instant};

impl World {
    /// A borrower has a connection.
    pub(super) fn obtained(&mut self, number: usize, entry: Box<Entry<()>>) {
        self.lent.push((number, entry));
        self.check();
    }

    /// The borrower of the latest loan looks at its connection, as the way out does.
    pub(super) fn look_at_last(&mut self, since: Instant, manner: Manner) {
        if self.state.is_closed() {
            return;
        }
        let (_, entry) = self.lent.last().expect("it was lent just now");
        let (rested, id) = (self.now - entry.last_used, entry.id);
        if rested > Duration::from_millis(10) && self.slept(since, manner) {
            return;
        }
        if self.book.alive[&id].dead {
            self.looks_dead(since, manner);
        } else {
            self.looks_well(id);
        }
    }

    /// The borrower of the latest loan finds its connection dead.
    fn looks_dead(&mut self, since: Instant, manner: Manner) {
        let now = self.now;
        let (_, mut entry) = self.lent.pop().expect("it was lent just now");
        entry.condemned = Some(CloseReason::Broken);
        self.book.died(entry.id);
        self.book.facts(entry.id).condemned = true;
        self.with_noted(
            |state, actions| {
                state.failed_look(&entry, now, actions);
                state.reject(entry, now, actions);
            },
            |world, ()| world.note_stillborn(),
        );
        self.check();
        self.request(since, manner);
    }

    /// The borrower of a connection on trial finds it good.
    fn looks_well(&mut self, id: u64) {
        let Some(place) = self.lent.iter().position(|(_, entry)| entry.id == id && entry.on_trial) else { return };
        let (number, mut entry) = self.lent.remove(place);
        let now = self.now;
        self.with_noted(
            |state, actions| state.found_well(&mut entry, Stage::Look, now, actions),
            |world, ()| world.note_lifted(),
        );
        self.lent.insert(place, (number, entry));
        self.check();
    }

    /// Whether the process was suspended. If so, the connection of the latest loan must be checked.
    fn slept(&mut self, since: Instant, manner: Manner) -> bool {
        let (now, wall) = (self.now, self.wall);
        let jumped = self.with_noted(
            |state, _| state.compare_clocks(now, wall),
            |world, jumped| {
                assert_eq!(*jumped, world.book.compare(now, wall));
            },
        );
        self.check();
        if jumped {
            let (_, entry) = self.lent.pop().expect("it was lent just now");
            self.with(|state, actions| state.reject(entry, now, actions));
            self.check();
            self.request(since, manner);
        }
        jumped
    }
}
