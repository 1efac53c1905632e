//! What passes over the line, read along: message headers in both directions, and what they say of the session.
//!
//! Pure: no I/O and no clock. The bytes come from `stream.rs`, cut wherever the network cut them.

mod framer;
mod harmless;
mod lexer;
mod sql;
mod tracker;

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod texts;

pub(crate) use sql::Effect;
pub(crate) use tracker::{End, Tracker};
