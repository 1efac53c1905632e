//! The protocol: cuts what passes between client and server into messages, in both directions.
//!
//! Pure: no I/O and no clock. The bytes come from `stream.rs`, cut wherever the network cut them; what the messages say of
//! the session is for `tracker` to judge.

mod framer;

pub(crate) use framer::{Framer, Garbled, LONGEST_NAME, Message, STARTUP};
