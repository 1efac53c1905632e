//! The statements that a session has prepared, by name: the effect of each, and whether the server has it.

use crate::sql;
use crate::sql::Effect;
use std::collections::{HashMap, VecDeque};

#[derive(Default)]
pub(super) struct Prepared {
    /// A statement that is missing here may have any effect.
    statements: HashMap<Box<[u8]>, Statement>,
    /// The names that the server has not answered for yet, oldest first.
    asked: VecDeque<Box<[u8]>>,
}

struct Statement {
    /// The effect of its execution.
    effect: Effect,
    /// The server has confirmed it.
    there: bool,
}

impl Prepared {
    /// A statement is to be prepared; `None` means a name or text that is too long to keep. The effect stays with the name until it is
    /// closed. A second `Parse` of a name can only increase it, because the server may ignore that and keep the first statement.
    pub(super) fn parse(&mut self, name: Option<&[u8]>, text: Option<&[u8]>) {
        self.asked.push_back(name.unwrap_or_default().into());
        // The name is too long to keep: a `Bind` of it finds no statement.
        let Some(name) = name else { return };
        let effect = text.map_or(Effect::Session, sql::effect);
        if let Some(statement) = self.statements.get_mut(name) {
            statement.effect = effect.max(statement.effect);
        } else if self.statements.len() < MOST_STATEMENTS {
            self.statements.insert(name.into(), Statement { effect, there: false });
        }
    }

    /// The server has prepared the oldest requested statement.
    pub(super) fn parsed(&mut self) {
        if let Some(statement) = self.asked.pop_front().and_then(|name| self.statements.get_mut(&name)) {
            statement.there = true;
        }
    }

    /// The server ignores all pending requests.
    pub(super) fn passed_over(&mut self) {
        self.asked.clear();
    }

    /// The effect of the statement's execution.
    pub(super) fn effect(&self, name: Option<&[u8]>) -> Effect {
        name.and_then(|name| self.statements.get(name)).map_or(Effect::Session, |statement| statement.effect)
    }

    pub(super) fn close(&mut self, name: &[u8]) {
        self.statements.remove(name);
    }

    /// The number of named statements that the server must have.
    pub(super) fn count(&self) -> usize {
        self.statements.iter().filter(|(name, statement)| statement.there && !name.is_empty()).count()
    }
}

/// Statements beyond this number are treated as harmful.
const MOST_STATEMENTS: usize = 10_000;
