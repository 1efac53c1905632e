//! The database's location: a file, or memory that several connections share.
//!
//! Owns the names given to SQLite, and keeps a memory database alive and readable. Opens nothing else.

use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fmt;
use std::path::{MAIN_SEPARATOR, Path, PathBuf, absolute};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The database's location.
#[derive(Clone)]
pub(crate) enum Source {
    File(PathBuf),
    /// A URI, a name with a special meaning in SQLite, or one that was certainly not meant as a file.
    Name(PathBuf),
    Memory(Arc<Memory>),
}

impl Source {
    pub(crate) fn file(path: &Path) -> Self {
        let bytes = path.as_os_str().as_encoded_bytes();
        if bytes.is_empty() || bytes == b":memory:" || bytes.starts_with(b"file:") || is_foreign_url(bytes) {
            return Self::Name(path.to_owned());
        }
        // Without a current directory the path stays relative, and opening it reports the error.
        Self::File(absolute(path).unwrap_or_else(|_| path.to_owned()))
    }

    pub(crate) fn memory() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // The slash makes `memdb` share it by name. Unlike `mode=memory&cache=shared` it respects the busy time-out.
        let name = PathBuf::from(format!("file:/cabrank-{number}?vfs=memdb"));
        Self::Memory(Arc::new(Memory { name, anchor: Mutex::new(None) }))
    }

    /// The name that SQLite opens.
    pub(crate) fn name(&self) -> &Path {
        match self {
            Self::File(path) | Self::Name(path) => path,
            Self::Memory(memory) => &memory.name,
        }
    }

    /// The mistake in the name, found before anything is opened.
    pub(crate) fn mistake(&self, flags: OpenFlags) -> Option<&'static str> {
        let Self::Name(name) = self else { return None };
        let bytes = name.as_os_str().as_encoded_bytes();
        if is_foreign_url(bytes) {
            return Some(
                "is neither a path nor an SQLite URI: remove the part before the path, or begin with \"file:\"",
            );
        }
        let uri = bytes.starts_with(b"file:") && !flags.contains(OpenFlags::SQLITE_OPEN_URI);
        uri.then_some("is a URI, which the flags do not allow: add SQLITE_OPEN_URI, or use a path")
    }

    /// Whether a URI names a database that cannot be in WAL mode, or whose mode cannot be changed.
    pub(crate) fn rules_out_wal(&self) -> bool {
        let Self::Name(name) = self else { return false };
        let name = name.to_string_lossy();
        let Some((_, query)) = name.split('#').next().and_then(|name| name.split_once('?')) else { return false };
        query.split('&').any(|parameter| match parameter.split_once('=') {
            Some(("mode", mode)) => mode == "ro",
            Some(("immutable" | "nolock", switch)) => {
                switch.parse().is_ok_and(|number: i64| number != 0)
                    || ["on", "yes", "true"].contains(&&*switch.to_lowercase())
            }
            _ => false,
        })
    }

    /// The database's name among others: the file name, without the folders, which may contain a user's name, and without a URI's
    /// parameters, which may contain a key.
    pub(crate) fn short_name(&self) -> Option<String> {
        let path = match self {
            Self::Memory(_) => return Some("memory".to_owned()),
            Self::File(path) => path.to_string_lossy().into_owned(),
            Self::Name(name) => name.to_string_lossy().split(['?', '#']).next().unwrap_or_default().to_owned(),
        };
        let file = path.rsplit(['/', MAIN_SEPARATOR, ':']).next().filter(|file| !file.is_empty());
        file.map(str::to_owned)
    }

    pub(crate) fn is_memory(&self) -> bool {
        matches!(self, Self::Memory(_))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Name(name) => write!(f, "{:?}", name.display().to_string()),
            Self::Memory(_) => f.write_str("the memory database"),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Other libraries write `sqlite:app.db` or `sqlite:///srv/app.db`, which SQLite would treat as a file name.
fn is_foreign_url(name: &[u8]) -> bool {
    let Some(colon) = name.iter().position(|byte| *byte == b':') else { return false };
    let (scheme, rest) = name.split_at(colon);
    let is_scheme = scheme.len() > 1 && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    let is_known = [&b"file"[..], b"jdbc", b"sqlite", b"sqlite3", b"sqlcipher"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known) && scheme != b"file");
    is_scheme && (is_known || rest.starts_with(b"://") && scheme != b"file")
}

/// A memory database, and the connection that keeps it alive.
pub(crate) struct Memory {
    name: PathBuf,
    anchor: Mutex<Option<Connection>>,
}

impl Memory {
    /// Ensures that the database exists, stays, and is readable. Does not wait for locks.
    pub(crate) fn hold(&self) -> rusqlite::Result<()> {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        if anchor.is_none() {
            let conn = Connection::open_with_flags(&self.name, MEMORY_FLAGS)?;
            conn.busy_timeout(Duration::ZERO)?;
            *anchor = Some(conn);
        }
        match anchor.as_ref().map_or(Ok(()), read_head) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) => self.leave_wal(),
            Err(error) if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes the database out of the WAL mode of the file that it was copied from: memory does not support it, and the database would be
    /// unreadable.
    fn leave_wal(&self) -> rusqlite::Result<()> {
        let conn = Connection::open_with_flags(&self.name, MEMORY_FLAGS)?;
        // With exclusive access SQLite needs no shared index of the log, which memory lacks.
        for pragma in ["PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = DELETE"] {
            conn.query_row(pragma, [], |_| Ok(()))?;
        }
        Ok(())
    }
}

fn read_head(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA schema_version", [], |_| Ok(()))
}

/// The flags that a memory database always needs.
pub(crate) const MEMORY_FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE
    .union(OpenFlags::SQLITE_OPEN_CREATE)
    .union(OpenFlags::SQLITE_OPEN_URI)
    .union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_called_by_its_file_alone() {
        let name = |path: &str| Source::file(Path::new(path)).short_name();
        assert_eq!(name("/srv/ada/shop.db").as_deref(), Some("shop.db"));
        assert_eq!(name("shop.db").as_deref(), Some("shop.db"));
        assert_eq!(name("file:/srv/shop.db?mode=ro&hexkey=73656372").as_deref(), Some("shop.db"));
        assert_eq!(name("file:shop.db").as_deref(), Some("shop.db"));
        assert_eq!(name(":memory:"), None, "it is refused when it is opened");
        assert_eq!(Source::memory().short_name().as_deref(), Some("memory"));
    }
}
