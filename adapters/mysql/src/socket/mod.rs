//! The descriptor under a connection of the driver's: looking at it without reading, and shutting it down from another
//! thread.
//!
//! Reads no protocol. Where the driver does not show its socket, `fallback.rs` takes the place of `unix.rs`.

#[cfg(not(unix))]
mod fallback;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use fallback::Socket;
#[cfg(unix)]
pub(crate) use unix::Socket;
