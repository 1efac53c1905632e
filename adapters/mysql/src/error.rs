//! Our errors as errors of the driver's type: users see one error type only.

use mysql::{DriverError, Error, MySqlError, Params, ServerError, Value};
use std::error::Error as StdError;
use std::{fmt, io};

/// The connection must be closed.
pub(crate) fn unusable(why: &str) -> Error {
    Error::IoError(io::Error::other(format!("the connection cannot be used again: {why}")))
}

/// The response does not belong to the request.
pub(crate) fn slipped() -> Error {
    unusable("the server's replies are out of step: this one belongs to an earlier command")
}

/// The server's error, with the reason if the savepoint no longer exists.
pub(crate) fn savepoint_gone(error: Error) -> Error {
    match error {
        Error::MySqlError(mut error) if error.code == ServerError::ER_SP_DOES_NOT_EXIST as u16 => {
            error.message += ": the transaction was ended by a statement that the server commits by itself (DDL, LOCK TABLES ..), \
                a COMMIT or a ROLLBACK; committed changes stay, and this transaction runs nothing more";
            Error::MySqlError(error)
        }
        error => error,
    }
}

/// A statement that was prepared on another connection.
pub(crate) fn from_elsewhere() -> Error {
    Error::MySqlError(MySqlError {
        state: "HY000".into(),
        code: ServerError::ER_UNKNOWN_STMT_HANDLER as u16,
        message: "this statement was prepared on another connection: a Statement belongs to one loan".into(),
    })
}

/// An error that recurs at each attempt to open a connection: the driver's error, or a text about it.
pub(crate) fn lasting(why: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error::IoError(io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// The server's own error for commands that are not allowed within a transaction. START TRANSACTION would commit it instead.
pub(crate) fn in_transaction() -> Error {
    let message = "a transaction is already open, begun by CALL, EXECUTE or raw(), or with autocommit off".to_owned();
    Error::MySqlError(MySqlError { state: "25001".to_owned(), message, code: IN_TRANSACTION })
}

/// The server lacks the required role.
#[derive(Debug)]
pub(crate) struct RoleError(String);

impl fmt::Display for RoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for RoleError {}

pub(crate) fn wrong_role(why: String) -> Error {
    Error::IoError(io::Error::other(RoleError(why)))
}

/// A feature that this build lacks.
pub(crate) fn unsupported(what: &str) -> Error {
    Error::IoError(io::Error::new(io::ErrorKind::Unsupported, what))
}

/// The error of a command of this many bytes, where a packet holds at most `largest`.
///
/// The driver refuses a too large command before it sends anything, with the same error as for a too large answer; only the latter
/// costs the connection.
pub(crate) fn told(error: Error, size: usize, largest: usize) -> Error {
    match error {
        Error::CodecError(_) if size > largest => Error::DriverError(DriverError::PacketTooLarge),
        error => error,
    }
}

/// The size of the packet that contains the text.
pub(crate) fn size_of_text(text: &str) -> usize {
    1 + text.len()
}

/// The size of the packet that contains the parameters; 0 if the driver sends them in parts, some of which may be sent when it refuses
/// another.
pub(crate) fn size_of_execution(params: &Params) -> usize {
    let size_of = |values: &mut dyn Iterator<Item = &Value>| {
        values.map(|value| 2 + usize::try_from(value.bin_len()).unwrap_or(usize::MAX / 2)).sum::<usize>()
    };
    let size = 10
        + match params {
            Params::Empty => 0,
            Params::Positional(values) => 1 + values.len().div_ceil(8) + size_of(&mut values.iter()),
            // A name may be used for several parameters. Then this is too small, and the error counts as the connection's.
            Params::Named(values) => 1 + values.len().div_ceil(8) + size_of(&mut values.values()),
        };
    if size > LARGEST_IN_ONE { 0 } else { size }
}

/// ER_CANT_CHANGE_TX_CHARACTERISTICS.
pub(crate) const IN_TRANSACTION: u16 = 1568;

/// Larger executions are sent in parts.
const LARGEST_IN_ONE: usize = (1 << 24) - 1;
