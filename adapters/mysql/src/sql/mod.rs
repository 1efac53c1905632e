//! What a text of SQL does to the session that runs it. This file lists the parts.
//!
//! Pure: no I/O, no clock, and nothing but the text.

mod binding;
mod effect;
mod lasting;
mod lexer;
mod words;

pub(crate) use binding::rebinds;
pub(crate) use effect::{Effect, begins_transaction, effect};
pub(crate) use lasting::{Lasting, lasting};
#[cfg(fuzzing)]
pub(crate) use words::FUNCTIONS;
