//! The monitor, tested by a client with hand-written HTTP.

mod client;

mod charts;
mod content;
mod guard;
mod mounted;
mod streams;
