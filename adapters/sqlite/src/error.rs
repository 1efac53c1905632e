//! Our errors as errors of the driver's type: users see one error type only.

use rusqlite::{Error, ffi};

/// An error with this result code.
pub(crate) fn failure(code: i32, message: String) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), Some(message))
}

/// The path no longer leads to the file that was opened.
pub(crate) fn moved(what: String) -> Error {
    failure(ffi::SQLITE_READONLY_DBMOVED, what)
}

/// SQLite itself says only "not authorized".
pub(crate) fn refused(pragma: &str) -> Error {
    let why = format!(
        "not authorized: PRAGMA {pragma} with a value holds for all connections of the process, so that it is refused in a loan; \
         set it in SqliteManager::with_init"
    );
    failure(ffi::SQLITE_AUTH, why)
}
