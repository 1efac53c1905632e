//! The prepared statements that a connection keeps, by their text.

use postgres::Statement;
use std::collections::HashMap;

pub(crate) struct Statements {
    capacity: usize,
    kept: HashMap<String, Kept>,
    clock: u64,
}

struct Kept {
    statement: Statement,
    last_used: u64,
}

impl Statements {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, kept: HashMap::new(), clock: 0 }
    }

    pub(crate) fn find(&mut self, sql: &str) -> Option<Statement> {
        self.clock += 1;
        let kept = self.kept.get_mut(sql)?;
        kept.last_used = self.clock;
        Some(kept.statement.clone())
    }

    /// Keeps it in place of the one that was not used for longest, if there is no room.
    pub(crate) fn keep(&mut self, sql: &str, statement: &Statement) {
        if self.capacity == 0 {
            return;
        }
        if self.kept.len() >= self.capacity {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.last_used).map(|(sql, _)| sql.clone());
            oldest.and_then(|sql| self.kept.remove(&sql));
        }
        self.kept.insert(sql.to_owned(), Kept { statement: statement.clone(), last_used: self.clock });
    }

    pub(crate) fn clear(&mut self) {
        self.kept.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }
}
