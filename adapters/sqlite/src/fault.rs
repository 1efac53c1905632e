//! Classifies SQLite's errors.

use cabrank::Fault;
use rusqlite::{Error, ffi};

/// | result                                             | fault     | because                                                   |
/// |----------------------------------------------------|-----------|-----------------------------------------------------------|
/// | `BUSY`, its snapshot and recovery forms            | Retry     | another connection wrote: the transaction may run again   |
/// | `LOCKED_SHAREDCACHE`, `PROTOCOL`                   | Retry     | the same, in a shared cache; in a race for the WAL        |
/// | `CORRUPT`, `IOERR`, `INTERNAL`, `READONLY_DBMOVED` | Fatal     | the connection's view of the file is unreliable           |
/// | `NOTADB`, `CANTOPEN`                               | Permanent | a wrong path, a wrong key, missing rights: no retry helps |
/// | all others (`CONSTRAINT`, `INTERRUPT`, `FULL` ..)  | Statement | the statement failed, the connection is fine              |
///
/// Without free file descriptors SQLite also returns `CANTOPEN`: `open.rs` turns that into `IOERR`.
pub(crate) fn fault(error: &Error) -> Fault {
    error.sqlite_error().map_or(Fault::Statement, of_code)
}

/// The same, for a result code alone.
pub(crate) fn of_code(code: &ffi::Error) -> Fault {
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

/// Whether the next attempt to open will fail as well. True for all errors, as in the pool's `on_open`, except those with a temporary
/// cause: locks, memory, the disk, an interrupt, a file that is being replaced.
pub(crate) fn is_lasting_at_opening(error: &Error) -> bool {
    // Without a result code it is rusqlite's error about the call, or one of the user's own.
    let Some(code) = error.sqlite_error() else { return true };
    match primary(code) {
        ffi::SQLITE_READONLY => code.extended_code != ffi::SQLITE_READONLY_DBMOVED,
        primary => !matches!(
            primary,
            ffi::SQLITE_BUSY
                | ffi::SQLITE_LOCKED
                | ffi::SQLITE_PROTOCOL
                | ffi::SQLITE_NOMEM
                | ffi::SQLITE_IOERR
                | ffi::SQLITE_FULL
                | ffi::SQLITE_INTERRUPT
                | ffi::SQLITE_CORRUPT
                | ffi::SQLITE_INTERNAL
        ),
    }
}

/// The primary result code, which extended ones have in their low byte.
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
    fn an_error_at_the_opening_lasts_unless_it_comes_from_what_else_goes_on() {
        for (code, lasts) in [
            (ffi::SQLITE_BUSY_SNAPSHOT, false),
            (ffi::SQLITE_LOCKED, false),
            (ffi::SQLITE_LOCKED_SHAREDCACHE, false),
            (ffi::SQLITE_PROTOCOL, false),
            (ffi::SQLITE_NOMEM, false),
            (ffi::SQLITE_IOERR_SHORT_READ, false),
            (ffi::SQLITE_FULL, false),
            (ffi::SQLITE_INTERRUPT, false),
            (ffi::SQLITE_CORRUPT_INDEX, false),
            (ffi::SQLITE_INTERNAL, false),
            (ffi::SQLITE_READONLY_DBMOVED, false),
            (ffi::SQLITE_READONLY, true),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, true),
            (ffi::SQLITE_SCHEMA, true),
            (ffi::SQLITE_ABORT, true),
            (ffi::SQLITE_FORMAT, true),
            (ffi::SQLITE_EMPTY, true),
            (ffi::SQLITE_AUTH, true),
            (ffi::SQLITE_NOTADB, true),
            (ffi::SQLITE_CANTOPEN_ISDIR, true),
        ] {
            let error = Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(is_lasting_at_opening(&error), lasts, "result code {code}");
        }
        assert!(is_lasting_at_opening(&Error::ToSqlConversionFailure("of the user's own".into())));
    }

    #[test]
    fn an_error_of_rusqlite_itself_concerns_one_statement() {
        assert_eq!(fault(&Error::QueryReturnedNoRows), Fault::Statement);
    }
}
