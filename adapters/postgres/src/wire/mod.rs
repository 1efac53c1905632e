//! The protocol: what passes between client and server, read as messages in both directions.
//!
//! Pure: no I/O and no clock, no SQL, and no session. The bytes come from `stream.rs`, cut wherever the network cut them; what
//! the messages say of the session is for `tracker` to judge.

mod answer;
mod framer;
mod request;

pub(crate) use answer::{Answer, Answers};
pub(crate) use request::{Request, Requests};
