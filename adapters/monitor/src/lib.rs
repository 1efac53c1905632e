#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// The API for users.
mod monitor;

// Access control, and the answers.
mod guard;
mod page;
mod routes;

// The looks, shared by all readers, and samples while nobody reads.
mod hub;
mod watch;

// The data of a look.
mod history;
mod look;
mod pools;
mod recorder;
mod words;

// Foreign texts, made safe to show.
mod plain;

pub use monitor::{Listening, Monitor, router};
pub use pools::Pools;
pub use recorder::Recorder;
