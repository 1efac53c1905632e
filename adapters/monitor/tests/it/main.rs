//! The monitor as a client sees it that speaks HTTP by hand.

mod client;

mod charts;
mod content;
mod guard;
mod mounted;
mod streams;
