//! The monitor as a client sees it that speaks HTTP by hand.

mod client;

mod content;
mod guard;
mod mounted;
mod streams;
