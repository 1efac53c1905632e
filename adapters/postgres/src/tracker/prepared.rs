//! The statements that a session has prepared, by name: what running each does, and whether the server has it.

use crate::sql;
use crate::sql::Effect;
use std::collections::{HashMap, VecDeque};

#[derive(Default)]
pub(super) struct Prepared {
    /// One whose name is missing may do anything.
    statements: HashMap<Box<[u8]>, Statement>,
    /// The names that the server has not answered for yet, oldest first.
    asked: VecDeque<Box<[u8]>>,
}

struct Statement {
    /// What running it does.
    effect: Effect,
    /// The server has said that it has it.
    there: bool,
}

impl Prepared {
    /// A statement is to be prepared; `None` stands for a name or text that is too long to keep. The verdict stays with the name until it
    /// is closed. A second `Parse` of a name can only make it worse, for the server may pass over it and keep the first.
    pub(super) fn parse(&mut self, name: Option<&[u8]>, text: Option<&[u8]>) {
        self.asked.push_back(name.unwrap_or_default().into());
        // A name too long to keep: a `Bind` of it finds none.
        let Some(name) = name else { return };
        let effect = text.map_or(Effect::Session, sql::effect);
        if let Some(statement) = self.statements.get_mut(name) {
            statement.effect = effect.max(statement.effect);
        } else if self.statements.len() < MOST_STATEMENTS {
            self.statements.insert(name.into(), Statement { effect, there: false });
        }
    }

    /// The server has prepared the oldest that it was asked for.
    pub(super) fn parsed(&mut self) {
        if let Some(statement) = self.asked.pop_front().and_then(|name| self.statements.get_mut(&name)) {
            statement.there = true;
        }
    }

    /// The server passes over all that it was asked for.
    pub(super) fn passed_over(&mut self) {
        self.asked.clear();
    }

    /// What running the statement does.
    pub(super) fn effect(&self, name: Option<&[u8]>) -> Effect {
        name.and_then(|name| self.statements.get(name)).map_or(Effect::Session, |statement| statement.effect)
    }

    pub(super) fn close(&mut self, name: &[u8]) {
        self.statements.remove(name);
    }

    /// How many the server must have, apart from the one without a name.
    pub(super) fn count(&self) -> usize {
        self.statements.iter().filter(|(name, statement)| statement.there && !name.is_empty()).count()
    }
}

/// More than this and what comes on top is taken for harmful.
const MOST_STATEMENTS: usize = 10_000;
