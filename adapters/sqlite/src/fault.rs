//! What an error of SQLite means for the pool.

use cabrank::Fault;
use rusqlite::{Error, ffi};

/// | result                                           | fault     | because                                                    |
/// |--------------------------------------------------|-----------|------------------------------------------------------------|
/// | `BUSY`, its snapshot and recovery forms          | Retry     | someone else wrote: the transaction may run anew           |
/// | `LOCKED_SHAREDCACHE`, `PROTOCOL`                 | Retry     | the same, in a shared cache; in a race for the WAL         |
/// | `CORRUPT`, `IOERR`, `INTERNAL`, `READONLY_DBMOVED` | Fatal   | the connection's view of the file is not to be trusted     |
/// | `NOTADB`, `CANTOPEN`                             | Permanent | a wrong path, a wrong key, missing rights: nothing heals by itself |
/// | all others (`CONSTRAINT`, `INTERRUPT`, `FULL`, `READONLY` ..) | Statement | the statement failed, the connection is well |
pub(crate) fn fault(error: &Error) -> Fault {
    let Some(code) = error.sqlite_error() else { return Fault::Statement };
    match code.extended_code {
        ffi::SQLITE_LOCKED_SHAREDCACHE => return Fault::Retry,
        ffi::SQLITE_READONLY_DBMOVED => return Fault::Fatal,
        _ => {}
    }
    match primary(code) {
        ffi::SQLITE_BUSY | ffi::SQLITE_PROTOCOL => Fault::Retry,
        ffi::SQLITE_CORRUPT | ffi::SQLITE_IOERR | ffi::SQLITE_INTERNAL => Fault::Fatal,
        ffi::SQLITE_NOTADB | ffi::SQLITE_CANTOPEN => Fault::Permanent,
        _ => Fault::Statement,
    }
}

/// Is an error at the opening about a text or a setting? Then the next attempt fails too.
pub(crate) fn is_lasting_at_opening(error: &Error) -> bool {
    match (error.sqlite_error(), error) {
        (Some(code), _) => matches!(
            primary(code),
            ffi::SQLITE_ERROR
                | ffi::SQLITE_PERM
                | ffi::SQLITE_READONLY
                | ffi::SQLITE_NOTFOUND
                | ffi::SQLITE_CANTOPEN
                | ffi::SQLITE_TOOBIG
                | ffi::SQLITE_MISMATCH
                | ffi::SQLITE_MISUSE
                | ffi::SQLITE_NOLFS
                | ffi::SQLITE_AUTH
                | ffi::SQLITE_RANGE
        ),
        // The statement does not fit its parameters, its results or the way it was run.
        (
            None,
            Error::ExecuteReturnedResults
            | Error::InvalidColumnIndex(_)
            | Error::InvalidColumnName(_)
            | Error::InvalidColumnType(..)
            | Error::InvalidParameterCount(..)
            | Error::InvalidParameterName(_)
            | Error::InvalidPath(_)
            | Error::InvalidQuery
            | Error::MultipleStatement
            | Error::NulError(_)
            | Error::QueryReturnedNoRows,
        ) => true,
        #[cfg(feature = "bundled")]
        (None, Error::SqlInputError { .. }) => true,
        // Others may wrap an error of the user's own, of which nothing is known.
        (None, _) => false,
    }
}

/// The primary result code: the extended ones carry it in their low byte.
pub(crate) fn primary(code: &ffi::Error) -> i32 {
    code.extended_code & 0xff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_code_has_the_fault_of_the_table() {
        for (code, expected) in [
            (ffi::SQLITE_BUSY, Fault::Retry),
            (ffi::SQLITE_BUSY_SNAPSHOT, Fault::Retry),
            (ffi::SQLITE_BUSY_RECOVERY, Fault::Retry),
            (ffi::SQLITE_LOCKED, Fault::Statement),
            (ffi::SQLITE_LOCKED_SHAREDCACHE, Fault::Retry),
            (ffi::SQLITE_PROTOCOL, Fault::Retry),
            (ffi::SQLITE_CORRUPT, Fault::Fatal),
            (ffi::SQLITE_CORRUPT_INDEX, Fault::Fatal),
            (ffi::SQLITE_IOERR, Fault::Fatal),
            (ffi::SQLITE_IOERR_SHORT_READ, Fault::Fatal),
            (ffi::SQLITE_READONLY, Fault::Statement),
            (ffi::SQLITE_READONLY_DBMOVED, Fault::Fatal),
            (ffi::SQLITE_NOTADB, Fault::Permanent),
            (ffi::SQLITE_CANTOPEN, Fault::Permanent),
            (ffi::SQLITE_CANTOPEN_ISDIR, Fault::Permanent),
            (ffi::SQLITE_INTERRUPT, Fault::Statement),
            (ffi::SQLITE_FULL, Fault::Statement),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, Fault::Statement),
        ] {
            let error = Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(fault(&error), expected, "result code {code}");
        }
    }

    #[test]
    fn an_error_of_rusqlite_itself_concerns_one_statement() {
        assert_eq!(fault(&Error::QueryReturnedNoRows), Fault::Statement);
    }
}
