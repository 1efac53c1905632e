//! The descriptor below a driver's connection: examined without reading, and shut down from another thread.
//!
//! Reads no protocol. If the driver does not expose its socket, `fallback.rs` replaces `unix.rs`.

#[cfg(not(unix))]
mod fallback;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use fallback::Socket;
#[cfg(unix)]
pub(crate) use unix::Socket;
