//! The prepared statements of a connection, by the server's number for them.
//!
//! The driver keeps them by their text, and bounds no more than their number. Here stands what it does not know: how long the texts
//! are, which statements the server calls stale, and which are in the holder's hands. Pure: it names those that are to be closed.

#[cfg(test)]
mod tests;

use crate::fault::is_stale;
use crate::schema::SchemaChanges;
use crate::sql::rebinds;
use mysql::{Error, Statement};
use std::collections::HashMap;

/// Generic for the tests alone: nobody but the driver can make a statement of its own.
pub(crate) struct Statements<S = Statement> {
    /// As many as the driver keeps. One more, and it closes the one that was asked for longest ago.
    capacity: usize,
    known: HashMap<u32, Known<S>>,
    /// The texts of those that nobody holds.
    texts: Texts,
    /// Of all together.
    holds: u32,
    clock: u64,
    changes: SchemaChanges,
    /// How often the session was given another database, or other rules by which texts are read.
    rebound: u64,
}

struct Known<S> {
    statement: S,
    is_harmless: bool,
    /// Running it has others rebound.
    rebinds: bool,
    length: usize,
    last_asked_for: u64,
    /// How many of the changes had been noticed when it was prepared, and how often the session was rebound before.
    seen: u64,
    bound: u64,
    /// The server has called this very one stale.
    is_stale: bool,
    /// How often the holder was given it. It is not closed under the holder's hands.
    holds: u32,
}

/// So much is to be kept.
#[derive(Debug, Default, PartialEq, Eq)]
struct Texts {
    /// Of all together, in bytes.
    length: usize,
    /// How many are too long to be kept.
    long: usize,
}

impl Texts {
    fn add(&mut self, length: usize) {
        self.length += length;
        self.long += usize::from(length > LONGEST_TEXT);
    }

    fn remove(&mut self, length: usize) {
        self.length -= length;
        self.long -= usize::from(length > LONGEST_TEXT);
    }
}

/// What the driver has given for a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It has prepared it just now.
    New,
    /// It has kept it, but it must be prepared anew.
    Stale,
    Kept {
        is_harmless: bool,
    },
}

impl<S> Statements<S> {
    pub(crate) fn new(capacity: usize, changes: SchemaChanges) -> Self {
        Self { capacity, known: HashMap::new(), texts: Texts::default(), holds: 0, clock: 0, changes, rebound: 0 }
    }

    /// It goes out. Does running it leave nothing? `None`: it was not prepared on this session, as far as was seen.
    pub(crate) fn executed(&mut self, id: u32) -> Option<bool> {
        let known = self.known.get(&id)?;
        self.rebound += u64::from(known.rebinds);
        Some(known.is_harmless)
    }

    /// The driver was asked for it by its text. For what others have met it is not stale while the holder may use it.
    pub(crate) fn asked_for(&mut self, id: u32) -> Asked {
        let Some(known) = self.known.get_mut(&id) else { return Asked::New };
        let is_old = known.holds == 0 && known.seen != self.changes.count();
        if known.is_stale || known.bound != self.rebound || is_old {
            return Asked::Stale;
        }
        self.clock += 1;
        known.last_asked_for = self.clock;
        Asked::Kept { is_harmless: known.is_harmless }
    }

    /// Names may stand for something else now, and texts may be read otherwise. What was prepared keeps its old meaning.
    pub(crate) fn rebind(&mut self) {
        self.rebound += 1;
    }

    /// The driver has prepared it.
    pub(crate) fn prepared(&mut self, id: u32, statement: S, text: &str, is_harmless: bool) {
        self.forget(id);
        self.clock += 1;
        let length = text.len();
        let known = Known {
            statement,
            is_harmless,
            rebinds: !is_harmless && rebinds(text),
            length,
            last_asked_for: self.clock,
            seen: self.changes.count(),
            bound: self.rebound,
            is_stale: false,
            holds: 0,
        };
        self.known.insert(id, known);
        self.texts.add(length);
        if self.capacity > 0 && self.known.len() > self.capacity {
            // This one the driver has closed already.
            let first = self.known.iter().min_by_key(|(_, known)| known.last_asked_for).map(|(id, _)| *id);
            first.map(|id| self.forget(id));
        }
    }

    /// The holder gets it.
    pub(crate) fn hold(&mut self, id: u32) {
        if let Some(known) = self.known.get_mut(&id) {
            if known.holds == 0 {
                self.texts.remove(known.length);
            }
            known.holds += 1;
            self.holds += 1;
        }
    }

    /// It was asked for by a text that is executed once: the holder has not got it.
    pub(crate) fn let_go(&mut self, id: u32) {
        if let Some(known) = self.known.get_mut(&id).filter(|known| known.holds > 0) {
            known.holds -= 1;
            self.holds -= 1;
            if known.holds == 0 {
                self.texts.add(known.length);
            }
        }
    }

    /// The loan ends, and its holder's statements with it.
    pub(crate) fn hand_on(&mut self) {
        if self.holds > 0 {
            for known in self.known.values_mut().filter(|known| known.holds > 0) {
                known.holds = 0;
                self.texts.add(known.length);
            }
            self.holds = 0;
        }
    }

    /// Running it has met an error. If that calls it stale, so may be all others, on each connection.
    pub(crate) fn met(&mut self, id: u32, error: &Error) {
        if let Some(known) = self.known.get_mut(&id).filter(|_| is_stale(error)) {
            known.is_stale = true;
            self.changes.noticed();
        }
    }

    /// One that is to be closed, and counts as closed, if there is no room for all: that which was asked for longest ago.
    pub(crate) fn next_surplus(&mut self) -> Option<S> {
        let is_crowded = self.texts.length > LONGEST_TEXTS || self.known.len() > self.capacity;
        if !is_crowded && self.texts.long == 0 {
            return None;
        }
        self.close_first(|known| is_crowded || known.length > LONGEST_TEXT)
    }

    /// One that is to be closed, and counts as closed, to make room at the server.
    pub(crate) fn next_unheld(&mut self) -> Option<S> {
        self.close_first(|_| true)
    }

    fn close_first(&mut self, is_meant: impl Fn(&Known<S>) -> bool) -> Option<S> {
        let unheld = self.known.iter().filter(|(_, known)| known.holds == 0 && is_meant(known));
        let id = unheld.min_by_key(|(_, known)| known.last_asked_for).map(|(id, _)| *id)?;
        self.forget(id)
    }

    /// It is closed, or will be.
    pub(crate) fn forget(&mut self, id: u32) -> Option<S> {
        let known = self.known.remove(&id)?;
        if known.holds == 0 {
            self.texts.remove(known.length);
        }
        self.holds -= known.holds;
        Some(known.statement)
    }

    /// The server, or somebody out of sight, may have closed any.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
        (self.texts, self.holds) = (Texts::default(), 0);
    }
}

/// Of one statement that is kept, in bytes. Longer ones are lists of values, generated for one use.
const LONGEST_TEXT: usize = 32 * 1024;

/// Of all together.
const LONGEST_TEXTS: usize = 1024 * 1024;
