//! Errors of ours in the driver's clothes, so that users meet one type of error only.

use mysql::Error;
use std::io;

/// The connection must be closed.
pub(crate) fn lasting(why: &str) -> Error {
    Error::IoError(io::Error::other(format!("the connection cannot be used again: {why}")))
}

/// What came is not the answer to what was asked.
pub(crate) fn slipped() -> Error {
    lasting("the server's replies have slipped: this one belongs to an earlier command")
}

/// Something that this build cannot do.
pub(crate) fn unsupported(what: &str) -> Error {
    Error::IoError(io::Error::new(io::ErrorKind::Unsupported, what))
}
