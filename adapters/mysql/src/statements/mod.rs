//! The prepared statements of a connection, by the server's number for them.
//!
//! The driver caches them by their text, and bounds only their number. This module adds the length of the texts, which statements the
//! server called stale, and which ones the holder has. Pure: it names the statements to close.

#[cfg(test)]
mod tests;

use crate::fault::is_stale;
use crate::schema::SchemaChanges;
use crate::sql::rebinds;
use mysql::{Error, Statement};
use std::collections::HashMap;

/// Generic only for the tests, because only the driver can make its statements.
pub(crate) struct Statements<S = Statement> {
    /// The capacity of the driver's cache. With one more, the driver closes the least recently requested one.
    capacity: usize,
    known: HashMap<u32, Known<S>>,
    /// The texts of statements that the holder does not have.
    texts: Texts,
    /// The holds of all statements together.
    holds: u32,
    clock: u64,
    changes: SchemaChanges,
    /// Counts changes of the current database, or of the rules by which texts are read.
    rebound: u64,
}

struct Known<S> {
    statement: S,
    is_harmless: bool,
    /// Running it rebinds others.
    rebinds: bool,
    length: usize,
    last_asked_for: u64,
    /// The counts of schema changes and of rebindings when it was prepared.
    seen: u64,
    bound: u64,
    /// The server has called this statement stale.
    is_stale: bool,
    /// How often it was given to the holder. It is not closed while the holder has it.
    holds: u32,
}

/// The limited quantities.
#[derive(Debug, Default, PartialEq, Eq)]
struct Texts {
    /// The length of all texts together, in bytes.
    length: usize,
    /// The number of those that are too long to keep.
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

/// The driver's result for a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A newly prepared statement.
    New,
    /// A cached one that must be prepared again.
    Stale,
    Kept {
        is_harmless: bool,
    },
}

impl<S> Statements<S> {
    pub(crate) fn new(capacity: usize, changes: SchemaChanges) -> Self {
        Self { capacity, known: HashMap::new(), texts: Texts::default(), holds: 0, clock: 0, changes, rebound: 0 }
    }

    /// It is sent. Returns whether it leaves no trace. `None`: as far as was seen, it was not prepared on this session.
    pub(crate) fn executed(&mut self, id: u32) -> Option<bool> {
        let known = self.known.get(&id)?;
        self.rebound += u64::from(known.rebinds);
        Some(known.is_harmless)
    }

    /// The driver was asked for it by its text. While the holder has it, errors of others do not make it stale.
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

    /// Names may mean something else now, and texts may be read differently. Prepared statements keep their old meaning.
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
            // The driver has closed this one already.
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

    /// It was requested for one execution of a text: the holder does not get it.
    pub(crate) fn let_go(&mut self, id: u32) {
        if let Some(known) = self.known.get_mut(&id).filter(|known| known.holds > 0) {
            known.holds -= 1;
            self.holds -= 1;
            if known.holds == 0 {
                self.texts.add(known.length);
            }
        }
    }

    /// The loan ends, and with it the use of its holder's statements.
    pub(crate) fn hand_on(&mut self) {
        if self.holds > 0 {
            for known in self.known.values_mut().filter(|known| known.holds > 0) {
                known.holds = 0;
                self.texts.add(known.length);
            }
            self.holds = 0;
        }
    }

    /// Its execution failed. If the error calls it stale, all others may be too, on each connection.
    pub(crate) fn met(&mut self, id: u32, error: &Error) {
        if let Some(known) = self.known.get_mut(&id).filter(|_| is_stale(error)) {
            known.is_stale = true;
            self.changes.noticed();
        }
    }

    /// A statement to close, which counts as closed, if the limits are exceeded: the least recently requested one.
    pub(crate) fn next_surplus(&mut self) -> Option<S> {
        let is_crowded = self.texts.length > LONGEST_TEXTS || self.known.len() > self.capacity;
        if !is_crowded && self.texts.long == 0 {
            return None;
        }
        self.close_first(|known| is_crowded || known.length > LONGEST_TEXT)
    }

    /// A statement to close, which counts as closed, to make room at the server.
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

    /// The server, or an untracked use, may have closed any of them.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
        (self.texts, self.holds) = (Texts::default(), 0);
    }
}

/// The maximum length of one cached text, in bytes. Longer ones are lists of values, generated for one use.
const LONGEST_TEXT: usize = 32 * 1024;

/// The maximum length of all texts together.
const LONGEST_TEXTS: usize = 1024 * 1024;
