//! The effect of a text of SQL on its session. This file lists the parts.
//!
//! Pure: no I/O, no clock, only the text.

mod effect;
mod lexer;
mod words;
mod binding;
mod lasting;

pub(crate) use binding::rebinds;
pub(crate) use effect::{Effect, begins_transaction, effect};
pub(crate) use lasting::{Lasting, lasting};
#[cfg(fuzzing)]
pub(crate) use words::FUNCTIONS;
