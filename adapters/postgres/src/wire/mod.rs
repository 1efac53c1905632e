//! The protocol between client and server, read as messages in both directions.
//!
//! Pure: no I/O, no clock, no SQL, and no session. `stream.rs` passes the bytes in pieces of any size; `tracker` derives the session's
//! state from the messages.

mod answer;
mod framer;
mod request;

pub(crate) use answer::{Answer, Answers};
pub(crate) use request::{Request, Requests};
