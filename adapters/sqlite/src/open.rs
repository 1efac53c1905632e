//! Opens a connection within a limit. Every error names the file and the remedy.

use crate::baseline;
use crate::baseline::{Baseline, set_busy_timeout};
use crate::connection::Connection;
use crate::error::{failure, moved};
use crate::fault;
use crate::identity::Watched;
use crate::manager::{JournalMode, SqliteManager};
use crate::pragmas;
use crate::pragmas::Effect;
use crate::source::{MEMORY_FLAGS, Source};
use crate::tokens::Tokens;
use crate::tracker::Tracker;
use crate::watch::{Phase, Trace};
use cabrank::Limit;
use rusqlite::config::DbConfig;
use rusqlite::{Error, ErrorCode, OpenFlags, Result, ffi};
#[cfg(unix)]
use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

impl SqliteManager {
    /// Opens a connection outside of any pool, in the same way as the pool does: for migrations before a pool exists.
    ///
    /// # Errors
    ///
    /// The driver's, with the file's name and the remedy. Waits for other connections' locks as long as `busy_timeout`.
    pub fn open(&self) -> rusqlite::Result<Connection> {
        open(self, None)
    }
}

/// Opens a connection with the manager's settings. A limit also bounds the wait for other connections' locks.
pub(crate) fn open(manager: &SqliteManager, limit: Option<&Limit>) -> Result<Connection> {
    let source = &manager.source;
    if let Some(mistake) = source.mistake(manager.flags) {
        return Err(failure(ffi::SQLITE_CANTOPEN, format!("{source} {mistake}")));
    }
    let mut flags = manager.flags;
    if let Source::Memory(memory) = source {
        memory.hold()?;
        flags.remove(OpenFlags::SQLITE_OPEN_READ_ONLY);
        flags.insert(MEMORY_FLAGS);
    }
    let explained = |error| explain(source, manager.flags, error);

    // This opens the file, but reads nothing.
    let mut conn = rusqlite::Connection::open_with_flags(source.name(), flags).map_err(explained)?;
    if let Some(limit) = limit {
        let interrupt = conn.get_interrupt_handle();
        limit.on_abort(move || interrupt.interrupt());
    }
    let watched = watched(source, &conn)?;
    let remaining = limit.and_then(Limit::remaining);
    let (tracker, baseline) = set_up(&mut conn, manager, remaining).map_err(explained)?;

    // Detects a file that was replaced during the opening.
    if let Some(watched) = &watched {
        watched.check().map_err(moved)?;
    }
    Ok(Connection { driver: conn, tracker, baseline, tokens: Tokens::default(), watched, beyond_reset: false })
}

/// Applies all settings. Our defaults come before `with_init`, or respect its choices; explicit settings of the manager come after it.
fn set_up(
    conn: &mut rusqlite::Connection,
    manager: &SqliteManager,
    remaining: Option<Duration>,
) -> Result<(Tracker, Baseline)> {
    let mut tracker = Tracker::install(conn, manager.authorizer.as_ref())?;
    let mut waiting = Waiting::begin(conn, manager.busy_timeout, remaining)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, manager.foreign_keys)?;

    // A key must be given before anything is read, and reading the header shows whether the file is a database.
    if let Some(init) = &manager.init {
        init(conn)?;
    }
    if !tracker.adopt_hooks() {
        return Err(misuse(
            "with_init set an authorizer, whose place this crate needs: pass it to SqliteManager::authorizer",
        ));
    }
    let chosen = tracker.traces();
    tracker.enter(Phase::Ours);
    waiting.look(conn)?;

    let (header, others): (Vec<_>, Vec<_>) =
        manager.pragmas.iter().partition(|(name, _)| pragmas::is_of_the_header(name));
    header.into_iter().try_for_each(|(name, value)| pragmas::set(conn, name, value))?;
    baseline::read_schema_version(conn)?;
    if let Some(mode) = asked_journal_mode(manager, chosen) {
        set_journal_mode(conn, mode, waiting.patience())?;
    }
    for (name, value) in others {
        match pragmas::effect(name) {
            Effect::JournalMode => set_journal_mode(conn, &value.trim().to_ascii_lowercase(), waiting.patience())?,
            _ => pragmas::set(conn, name, value)?,
        }
        waiting.look(conn)?;
    }
    // Last, because the others may need to write. (A memory database cannot be opened read-only; this is what protects it.)
    if !manager.writes() {
        conn.pragma_update(None, "query_only", true)?;
    }
    waiting.end(conn)?;

    if !conn.is_autocommit() {
        return Err(misuse("with_init left a transaction open"));
    }
    let baseline = Baseline::read(conn)?;
    tracker.forget();
    tracker.enter(Phase::Lent);
    Ok((tracker, baseline))
}

/// The busy time-out: at most the limit's remaining time during the opening, and the chosen one afterwards.
struct Waiting {
    /// The time-out that the opening itself set, in milliseconds.
    ours: i64,
    longest: Duration,
    /// For afterwards. `None` if zero was found, which may mean a busy handler: it is left unchanged.
    afterwards: Option<Duration>,
}

impl Waiting {
    fn begin(conn: &rusqlite::Connection, timeout: Duration, remaining: Option<Duration>) -> Result<Self> {
        // Zero would look like a busy handler.
        let longest = remaining.map_or(Duration::MAX, |remaining| remaining.max(Duration::from_millis(1)));
        set_busy_timeout(conn, timeout.min(longest))?;
        let afterwards = (!timeout.is_zero()).then_some(timeout);
        Ok(Self { ours: baseline::busy_timeout(conn)?, longest, afterwards })
    }

    /// Uses a time-out that was set since, still bounded by the limit.
    fn look(&mut self, conn: &rusqlite::Connection) -> Result<()> {
        let found = baseline::busy_timeout(conn)?;
        if found != self.ours {
            let chosen = Duration::from_millis(found.unsigned_abs());
            self.afterwards = (found != 0).then_some(chosen);
            if chosen > self.longest {
                set_busy_timeout(conn, self.longest)?;
            }
            self.ours = baseline::busy_timeout(conn)?;
        }
        Ok(())
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.ours.unsigned_abs())
    }

    fn end(self, conn: &rusqlite::Connection) -> Result<()> {
        self.afterwards.map_or(Ok(()), |timeout| set_busy_timeout(conn, timeout))
    }
}

/// Refuses a database without a file, and records the identity of the file.
fn watched(source: &Source, conn: &rusqlite::Connection) -> Result<Option<Watched>> {
    let path = match source {
        Source::Memory(_) => return Ok(None),
        Source::File(path) => path.clone(),
        Source::Name(_) => PathBuf::from(conn.path().unwrap_or_default()),
    };
    // SQLite has no file name for temporary and memory databases, however they are named.
    if conn.path().unwrap_or_default().is_empty() {
        let why = "would be a separate database for each connection: name a file, or use SqliteManager::memory()";
        return Err(failure(ffi::SQLITE_CANTOPEN, format!("{source} {why}")));
    }
    Watched::new(path).map(Some).map_err(|error| {
        failure(ffi::SQLITE_CANTOPEN, format!("{source} was opened, but cannot be found in the file system: {error}"))
    })
}

/// The journal mode of the manager or its default, unless `with_init` or a pragma chose one.
fn asked_journal_mode(manager: &SqliteManager, chosen: Trace) -> Option<&'static str> {
    let a_pragma = manager.pragmas.iter().any(|(name, _)| pragmas::effect(name) == Effect::JournalMode);
    match manager.journal_mode {
        Some(JournalMode::AsFound) => None,
        Some(JournalMode::Wal) => Some("wal"),
        Some(JournalMode::Delete) => Some("delete"),
        Some(JournalMode::Truncate) => Some("truncate"),
        Some(JournalMode::Persist) => Some("persist"),
        None if a_pragma || chosen.has(Trace::JOURNAL) => None,
        None if manager.source.is_memory() || manager.source.rules_out_wal() => None,
        None if !manager.flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) => None,
        None => Some("wal"),
    }
}

fn set_journal_mode(conn: &rusqlite::Connection, wanted: &str, patience: Duration) -> Result<()> {
    let started = Instant::now();
    while baseline::journal_mode(conn)? != wanted {
        match conn.pragma_update_and_check(None, "journal_mode", wanted, |row| row.get::<_, String>(0)) {
            Ok(mode) if mode == wanted => break,
            Ok(mode) => {
                let why = format!(
                    "stays in journal mode {mode} instead of {wanted}: choose another with .journal_mode(..), \
                     because this file or its file system does not support {wanted}"
                );
                return Err(failure(ffi::SQLITE_CANTOPEN, why));
            }
            // Another connection is setting it too. SQLite then fails at once, in spite of the busy time-out.
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

/// Adds the file's name and a remedy to SQLite's error of a failed opening. An error that no retry can fix gets the result code of a
/// permanent fault.
fn explain(source: &Source, flags: OpenFlags, error: Error) -> Error {
    if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) && lacks_descriptors() {
        let why = "cannot be opened: too many files are open (\"ulimit -n\" for this process, or the system's limit)";
        return failure(ffi::SQLITE_IOERR, format!("{source} {why}"));
    }
    let lasting = fault::is_lasting_at_opening(&error);
    let Some(code) = error.sqlite_error().copied() else {
        return if lasting {
            failure(ffi::SQLITE_CANTOPEN, format!("{source} cannot be opened: {error}"))
        } else {
            error
        };
    };
    let said = match error {
        Error::SqliteFailure(_, Some(said)) => said,
        other => other.to_string(),
    };
    let remedy = match (fault::primary(&code), source) {
        (ffi::SQLITE_CANTOPEN, Source::File(path)) if said.starts_with(CANNOT_OPEN) => {
            Some(remedy_of_file(path, flags))
        }
        (ffi::SQLITE_NOTADB, _) => Some(
            "is not an SQLite database, or is encrypted: correct the path, or set the key in .with_init(..)".to_owned(),
        ),
        (ffi::SQLITE_READONLY, _) if !flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) => {
            (code.extended_code != ffi::SQLITE_READONLY).then(|| UNREADABLE_WAL.to_owned())
        }
        (ffi::SQLITE_READONLY, _) => Some("cannot be written: open it with .read_only()".to_owned()),
        (ffi::SQLITE_PERM, Source::Name(_)) => {
            Some(format!("cannot be opened: {said} (.create(true) allows mode=rwc, .read_only() allows only mode=ro)"))
        }
        (ffi::SQLITE_BUSY, _) => Some("is locked by another connection".to_owned()),
        _ => None,
    };
    let code = if lasting && fault::primary(&code) != ffi::SQLITE_NOTADB {
        ffi::Error::new(ffi::SQLITE_CANTOPEN)
    } else {
        code
    };
    let text = remedy.map_or_else(|| format!("{source}: {said}"), |remedy| format!("{source} {remedy}"));
    Error::SqliteFailure(code, Some(text))
}

/// Whether this process, or the system, has reached its limit of open files. SQLite returns the same error as for a wrong path, and its
/// connection is gone.
///
/// Tests it with a directory, because closing a database file would end the locks of all its connections in this process.
#[cfg(unix)]
fn lacks_descriptors() -> bool {
    const FULL: [i32; 2] = [23, 24]; // ENFILE, EMFILE.
    File::open("/").is_err_and(|error| error.raw_os_error().is_some_and(|code| FULL.contains(&code)))
}

#[cfg(not(unix))]
fn lacks_descriptors() -> bool {
    false
}

/// Why SQLite cannot open the file, which its own error omits.
fn remedy_of_file(path: &Path, flags: OpenFlags) -> String {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    if path.is_dir() {
        "is a directory: name a file in it".to_owned()
    } else if path.exists() && !flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
        UNREADABLE_WAL.to_owned()
    } else if path.exists() {
        "cannot be opened: check its permissions and those of its directory".to_owned()
    } else if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
        format!("cannot be opened: there is no directory {}", directory.display())
    } else if flags.contains(OpenFlags::SQLITE_OPEN_CREATE) {
        "cannot be created: check the permissions of its directory".to_owned()
    } else {
        "does not exist: correct the path, or create it with .create(true)".to_owned()
    }
}

fn misuse(why: &str) -> Error {
    failure(ffi::SQLITE_MISUSE, why.to_owned())
}

const CANNOT_OPEN: &str = "unable to open database file";

/// Readers of a file in WAL mode write too: to the index of the log, which is beside it.
const UNREADABLE_WAL: &str = "cannot be read: check its permissions; if it is in WAL mode, even readers must be able to write to \
     its directory, or, if nobody changes the file, open it by a URI as immutable: \"file:PATH?immutable=1\"";
