//! Errors of ours in the driver's clothes, so that users meet one type of error only.

use mysql::{Error, ServerError};
use std::io;

/// The connection must be closed.
pub(crate) fn unusable(why: &str) -> Error {
    Error::IoError(io::Error::other(format!("the connection cannot be used again: {why}")))
}

/// What came is not the answer to what was asked.
pub(crate) fn slipped() -> Error {
    unusable("the server's replies have slipped: this one belongs to an earlier command")
}

/// The server's error, with the reason if it does not know the savepoint any more.
pub(crate) fn savepoint_gone(error: Error) -> Error {
    match error {
        Error::MySqlError(mut error) if error.code == ServerError::ER_SP_DOES_NOT_EXIST as u16 => {
            error.message += ": the transaction was ended within, by a statement that the server commits by itself (DDL, LOCK TABLES ..), \
                a COMMIT or a ROLLBACK; what was committed stays, and nothing more is done in this transaction";
            Error::MySqlError(error)
        }
        error => error,
    }
}

/// A statement of `init` that the server refuses, and will refuse again.
pub(crate) fn init_refused(statement: &str, error: &Error) -> Error {
    Error::IoError(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("`init` of the options, `{statement}`: {error}"),
    ))
}

/// An error of the log-in that comes again each time. The driver's own is inside.
pub(crate) fn lasting(error: Error) -> Error {
    Error::IoError(io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// Something that this build cannot do.
pub(crate) fn unsupported(what: &str) -> Error {
    Error::IoError(io::Error::new(io::ErrorKind::Unsupported, what))
}
