//! The protocol between client and server, read as messages in both directions.
//!
//! Pure: no I/O, no clock, no SQL, and no session. `stream.rs` passes the bytes in pieces of any size; `tracker` derives the session's
//! state from the messages.

mod request;
mod answer;
mod framer;

pub(crate) use answer::{Answer, Answers};
pub(crate) use request::{Request, Requests};
