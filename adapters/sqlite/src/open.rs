//! Opens a connection within a limit. Every error names the file and what to do.

use crate::baseline;
use crate::baseline::{Baseline, read_schema_version, set_busy_timeout};
use crate::connection::Connection;
use crate::error::{failure, moved};
use crate::fault;
use crate::identity::Watched;
use crate::manager::{JournalMode, SqliteManager};
use crate::source::{MEMORY_FLAGS, Source};
use crate::tracker::Tracker;
use cabrank::Limit;
use rusqlite::{Error, ErrorCode, OpenFlags, Result, ffi};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

impl SqliteManager {
    /// Opens a connection outside of any pool, just as the pool would: for migrations before there is one.
    ///
    /// # Errors
    ///
    /// The driver's, with the name of the file and what to do. Waits for other connections' locks as long as `busy_timeout`.
    pub fn open(&self) -> rusqlite::Result<Connection> {
        open(self, None)
    }
}

/// Opens a connection, as the manager's settings say. Within a limit it waits for other connections' locks no longer than that.
pub(crate) fn open(manager: &SqliteManager, limit: Option<&Limit>) -> Result<Connection> {
    let remaining = limit.and_then(Limit::remaining);
    let source = &manager.source;
    let mut flags = manager.flags;
    if let Source::Memory(memory) = source {
        memory.hold()?;
        flags.remove(OpenFlags::SQLITE_OPEN_READ_ONLY);
        flags.insert(MEMORY_FLAGS);
    }
    let explained = |error| explain(source, manager.flags, error);

    // The file is opened here, and nothing is read.
    let mut conn = rusqlite::Connection::open_with_flags(source.name(), flags)
        .map_err(|error| hopeless(source, explained(error)))?;
    if let Some(limit) = limit {
        let interrupt = conn.get_interrupt_handle();
        limit.on_abort(move || interrupt.interrupt());
    }
    let watched = watched(source, &conn)?;
    let patience = remaining.map_or(manager.busy_timeout, |remaining| remaining.min(manager.busy_timeout));
    set_busy_timeout(&conn, patience)?;

    // A key must be given before anything is read, and a file that is no database shows when its head is read.
    if let Some(init) = &manager.init {
        init(&mut conn).map_err(explained)?;
    }
    read_schema_version(&conn).map_err(explained)?;
    set_journal_mode(&conn, manager, patience).map_err(explained)?;
    set_pragmas(&conn, manager).map_err(explained)?;
    if !conn.is_autocommit() {
        return Err(failure(ffi::SQLITE_MISUSE, format!("{source}: with_init left a transaction open")));
    }

    // Was it replaced while it was being opened? Then it is the wrong one.
    if let Some(watched) = &watched {
        watched.check().map_err(moved)?;
    }
    set_busy_timeout(&conn, manager.busy_timeout)?;
    let baseline = Baseline::read(&conn)?;
    let tracker = Tracker::install(&mut conn)?;
    Ok(Connection { driver: conn, tracker, baseline, watched })
}

/// What SQLite refuses to open for the way it was asked for will be refused the next time too.
fn hopeless(source: &Source, error: Error) -> Error {
    let code = error.sqlite_error().map(fault::primary);
    match (code, &error) {
        (Some(ffi::SQLITE_MISUSE | ffi::SQLITE_ERROR), _) | (None, Error::NulError(_) | Error::InvalidPath(_)) => {
            failure(ffi::SQLITE_CANTOPEN, format!("{source} cannot be opened: {error}"))
        }
        _ => error,
    }
}

/// Refuses what is no file, and remembers which file it is.
fn watched(source: &Source, conn: &rusqlite::Connection) -> Result<Option<Watched>> {
    let path = match source {
        Source::Memory(_) => return Ok(None),
        Source::File(path) => path.clone(),
        Source::Name(_) => PathBuf::from(conn.path().unwrap_or_default()),
    };
    // SQLite knows no file name for temporary and memory databases, however they were asked for.
    if conn.path().unwrap_or_default().is_empty() {
        let why = "would be a database of its own for each connection: name a file, or use SqliteManager::memory()";
        return Err(failure(ffi::SQLITE_CANTOPEN, format!("{source} {why}")));
    }
    Watched::new(path).map(Some).map_err(|error| {
        failure(
            ffi::SQLITE_CANTOPEN,
            format!("{source} was opened, but cannot be looked up in the file system: {error}"),
        )
    })
}

fn set_journal_mode(conn: &rusqlite::Connection, manager: &SqliteManager, patience: Duration) -> Result<()> {
    let a_file = !manager.source.is_memory() && manager.flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE);
    let wanted = match manager.journal_mode {
        None if a_file => "wal",
        None | Some(JournalMode::AsFound) => return Ok(()),
        Some(JournalMode::Wal) => "wal",
        Some(JournalMode::Delete) => "delete",
        Some(JournalMode::Truncate) => "truncate",
        Some(JournalMode::Persist) => "persist",
    };
    let started = Instant::now();
    while baseline::journal_mode(conn)? != wanted {
        match conn.query_row(&format!("PRAGMA journal_mode = {wanted}"), [], |row| row.get::<_, String>(0)) {
            Ok(mode) if mode == wanted => break,
            Ok(mode) => {
                let why = format!(
                    "stays in journal mode {mode} instead of {wanted}: choose another with .journal_mode(..), \
                     for this file or its file system does not support it"
                );
                return Err(failure(ffi::SQLITE_CANTOPEN, why));
            }
            // Another connection is just setting it too. SQLite answers at once then, in spite of the busy time-out.
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && started.elapsed() < patience =>
            {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn set_pragmas(conn: &rusqlite::Connection, manager: &SqliteManager) -> Result<()> {
    conn.pragma_update(None, "foreign_keys", manager.foreign_keys)?;
    for (name, value) in &manager.pragmas {
        // SQLite passes over in silence what it does not know.
        let known = "SELECT count(*) FROM pragma_pragma_list WHERE name = ?1 COLLATE NOCASE";
        if conn.query_row(known, [name], |row| row.get::<_, u32>(0))? == 0 {
            return Err(failure(ffi::SQLITE_CANTOPEN, format!("SQLite has no pragma {name:?}: look at .pragma(..)")));
        }
        // Some answer with what they set, which is of no interest.
        conn.pragma_update_and_check(None, name, value, |_| Ok(())).or_else(|error| match error {
            Error::QueryReturnedNoRows => Ok(()),
            error => Err(error),
        })?;
    }
    // Last, for the others may have something to write.
    // (A memory database cannot be opened for reading only; there this is what holds.)
    if !manager.writes() {
        conn.pragma_update(None, "query_only", true)?;
    }
    Ok(())
}

/// Adds the name of the file and a remedy to what SQLite says of a failed opening.
fn explain(source: &Source, flags: OpenFlags, error: Error) -> Error {
    let Error::SqliteFailure(code, said) = error else { return error };
    let creates = flags.contains(OpenFlags::SQLITE_OPEN_CREATE);
    let remedy = match (fault::primary(&code), source) {
        (ffi::SQLITE_CANTOPEN, Source::File(path)) => {
            let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
            if path.is_dir() {
                "is a directory: name a file in it".to_owned()
            } else if path.exists() {
                said.unwrap_or("cannot be opened: look at its permissions and at those of its directory".to_owned())
            } else if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
                format!("cannot be opened: there is no directory {}", directory.display())
            } else if creates {
                "cannot be created: look at the permissions of its directory".to_owned()
            } else {
                "does not exist: correct the path, or have it created with .create(true)".to_owned()
            }
        }
        (ffi::SQLITE_NOTADB, _) => {
            "is not an SQLite database, or is encrypted: correct the path, or give the key in .with_init(..)".to_owned()
        }
        (ffi::SQLITE_READONLY, _) => "cannot be written: open it with .read_only()".to_owned(),
        (ffi::SQLITE_BUSY, _) => "is locked by another connection".to_owned(),
        _ => said.unwrap_or_else(|| code.to_string()),
    };
    // The pool would take a read-only file for a passing fault.
    let code = if code.code == ErrorCode::ReadOnly { ffi::Error::new(ffi::SQLITE_CANTOPEN) } else { code };
    Error::SqliteFailure(code, Some(format!("{source} {remedy}")))
}
