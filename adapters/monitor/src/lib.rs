#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// The API for users.
mod monitor;

// Access control, and the answers.
mod routes;
mod guard;
mod page;

// The looks, shared by all readers, and samples while nobody reads.
mod hub;
mod watch;

// The data of a look.
mod look;
mod words;
mod history;
mod pools;
mod recorder;

// Foreign texts, made safe to show.
mod plain;

pub use monitor::{Listening, Monitor, router};
pub use pools::Pools;
pub use recorder::Recorder;
