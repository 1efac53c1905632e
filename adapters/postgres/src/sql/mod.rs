//! The effect of a text of SQL on its session. This file lists the parts.
//!
//! Pure: no I/O, no clock, only the text.

mod effect;
mod lexer;
mod words;
mod lasting;

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod texts;

pub(crate) use effect::{Effect, effect};
#[cfg(fuzzing)]
pub(crate) use words::FUNCTIONS;
pub(crate) use words::is_harmless_tag;
