//! Errors of ours in the driver's clothes, so that users meet one type of error only.

use rusqlite::{Error, ffi};

/// An error with this result code.
pub(crate) fn failure(code: i32, message: String) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), Some(message))
}

/// The path no longer leads to the file that was opened.
pub(crate) fn moved(what: String) -> Error {
    failure(ffi::SQLITE_READONLY_DBMOVED, what)
}
