#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// What users call.
mod monitor;

// Who may ask, and what is answered.
mod guard;
mod page;
mod routes;

// The looks: one for all who read; and samples while nobody does.
mod hub;
mod watch;

// What is looked at.
mod history;
mod look;
mod pools;
mod recorder;
mod words;

// Texts of others, as they may be shown.
mod plain;

pub use monitor::{Listening, Monitor, router};
pub use pools::Pools;
pub use recorder::Recorder;
