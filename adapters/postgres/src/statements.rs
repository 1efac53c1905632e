//! A connection's cached prepared statements, by their text.
//!
//! Bounded by their number and by their texts' length, because a server needs many times the text's memory for its statement. A dropped
//! statement is closed at the server.

use crate::schema::SchemaChanges;
use crate::sql::Effect;
use crate::tap::Tap;
use postgres::{Error, Statement};
use std::collections::HashMap;

pub(crate) struct Statements {
    capacity: usize,
    kept: HashMap<String, Kept>,
    /// The length of all texts, in bytes.
    length: usize,
    clock: u64,
    changes: SchemaChanges,
    /// The number of schema changes seen when the oldest of these was prepared.
    seen: u64,
}

struct Kept {
    statement: Statement,
    last_used: u64,
}

impl Statements {
    pub(crate) fn new(capacity: usize, changes: SchemaChanges) -> Self {
        let seen = changes.count();
        Self { capacity, kept: HashMap::new(), length: 0, clock: 0, changes, seen }
    }

    /// Returns the cached statement of this text, or prepares it. Caches it if the session is as at the beginning of the loan; otherwise
    /// the text may mean something else to the next holder.
    pub(crate) fn prepare(
        &mut self,
        sql: &str,
        tap: Option<&Tap>,
        prepare: impl FnOnce() -> Result<Statement, Error>,
    ) -> Result<Statement, Error> {
        if let Some(statement) = self.find(sql) {
            return Ok(statement);
        }
        let statement = prepare()?;
        // Within a transaction the driver's types cannot be cleared, so a statement prepared there may have outdated ones.
        if !self.is_outdated() && tap.is_none_or(|tap| tap.tracker().effect() == Effect::None) {
            self.keep(sql, &statement);
        }
        Ok(statement)
    }

    fn find(&mut self, sql: &str) -> Option<Statement> {
        self.clock += 1;
        if self.is_outdated() {
            self.clear();
        }
        let kept = self.kept.get_mut(sql)?;
        kept.last_used = self.clock;
        Some(kept.statement.clone())
    }

    /// Caches it. If there is no room, drops the least recently used ones.
    fn keep(&mut self, sql: &str, statement: &Statement) {
        if self.capacity == 0 || sql.len() > LONGEST_TEXT {
            return;
        }
        while self.kept.len() >= self.capacity || self.length + sql.len() > LONGEST_TEXTS {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.last_used).map(|(sql, _)| sql.clone());
            let Some(oldest) = oldest else { break };
            self.length -= oldest.len();
            self.kept.remove(&oldest);
        }
        let kept = Kept { statement: statement.clone(), last_used: self.clock };
        if self.kept.insert(sql.to_owned(), kept).is_none() {
            self.length += sql.len();
        }
    }

    /// Whether the schema has changed since. If so, this drops all statements, and the caller must clear the driver's types.
    pub(crate) fn forget_outdated(&mut self) -> bool {
        let changes = self.changes.count();
        if self.seen == changes {
            return false;
        }
        self.clear();
        self.seen = changes;
        true
    }

    fn is_outdated(&self) -> bool {
        self.seen != self.changes.count()
    }

    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        self.length = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }
}

/// The maximum length of one text, in bytes. Longer ones are lists of values, generated for one use.
const LONGEST_TEXT: usize = 32 * 1024;

/// The maximum length of all texts together.
const LONGEST_TEXTS: usize = 1024 * 1024;
