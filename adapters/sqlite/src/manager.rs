//! `SqliteManager`: what to open and how.
//!
//! Holds the settings, without I/O; `contract.rs` implements the pool's calls.

use crate::hooks::Authorizer;
use crate::source::Source;
use rusqlite::OpenFlags;
use rusqlite::hooks::{AuthContext, Authorization};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Opens connections to one SQLite database.
///
/// A clone opens the same database, even if it is a memory database.
///
/// ```
/// use cabrank_sqlite::{Pool, SqliteManager};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("app.db");
/// let manager = SqliteManager::file(path)
///     .create(true)
///     .busy_timeout(Duration::from_secs(1))
///     .pragma("synchronous", "NORMAL")
///     .with_init(|conn| conn.execute_batch("PRAGMA temp_store = MEMORY"));
/// let pool = Pool::builder().max_size(4).build(manager)?;
/// pool.get()?.execute_batch("CREATE TABLE account (id INTEGER PRIMARY KEY)")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteManager {
    pub(crate) source: Source,
    pub(crate) flags: OpenFlags,
    pub(crate) init: Option<Init>,
    pub(crate) busy_timeout: Duration,
    pub(crate) foreign_keys: bool,
    pub(crate) query_only: bool,
    /// `None` until chosen: WAL for a writable file, unless another setting chooses a mode.
    pub(crate) journal_mode: Option<JournalMode>,
    pub(crate) pragmas: Vec<(String, String)>,
    pub(crate) authorizer: Option<Authorizer>,
    /// The part in a pair of pools, for the pool's name.
    pub(crate) part: Option<&'static str>,
    /// Held while a connection closes: see [`close`](cabrank::Manager::close). Clones share it.
    pub(crate) leaving: Arc<Mutex<()>>,
}

impl SqliteManager {
    /// Opens the file at `path`, which must exist unless [`create`](Self::create) is set.
    ///
    /// A relative path is resolved now; a later change of directory does not affect it. A path that begins with `file:` is a URI. Names
    /// that would give each connection a separate database (`:memory:`, an empty path, `mode=memory`) are refused at opening.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::new(Source::file(path.as_ref()))
    }

    /// Opens a new, empty database in memory, which all connections of this manager and its clones share.
    ///
    /// It lives until the last clone and the last connection are gone: the manager keeps one more connection, which the pool does not
    /// count. Either one connection writes or several read at a time; the others wait for `busy_timeout`.
    ///
    /// ```
    /// use cabrank_sqlite::{Pool, SqliteManager};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().build(SqliteManager::memory())?;
    /// pool.get()?.execute_batch("CREATE TABLE tag (name TEXT); INSERT INTO tag VALUES ('red')")?;
    /// let tags: u32 = pool.get()?.query_row("SELECT count(*) FROM tag", [], |row| row.get(0))?;
    /// assert_eq!(tags, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn memory() -> Self {
        Self::new(Source::memory())
    }

    /// Whether to create the file if it does not exist. Default: no, because a typo in a path would create an empty database.
    pub fn create(mut self, create: bool) -> Self {
        let create = create && !self.flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY);
        self.flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
        self
    }

    /// Opens the file read-only, which never creates it. The journal mode is left unchanged.
    pub fn read_only(mut self) -> Self {
        self.flags.remove(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE);
        self.flags.insert(OpenFlags::SQLITE_OPEN_READ_ONLY);
        self
    }

    /// Opens with exactly these flags. Default: `READ_WRITE | NO_MUTEX | URI`. rusqlite's own default creates the file.
    pub fn with_flags(mut self, flags: OpenFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Runs `init` on each new connection before anything is read or set. Use it for an encryption key, functions, collations, and
    /// settings for every loan.
    ///
    /// A reset restores what `init` sets. It overrides this manager's defaults, [`busy_timeout`](Self::busy_timeout) and
    /// [`foreign_keys`](Self::foreign_keys); [`pragma`](Self::pragma) and [`journal_mode`](Self::journal_mode) come after it. Hooks that
    /// `init` sets stay. If a loan replaces one of them, that cannot be undone, and the connection is replaced. An authorizer fails the
    /// opening, because this crate needs its place: give it to [`authorizer`](Self::authorizer). Temporary objects do not survive a
    /// reset: create them in the pool's `on_open`, which runs again after each.
    ///
    /// An error of `init` is a permanent fault, and building the pool fails at once: a syntax error, a missing table, a violated
    /// constraint, a failed conversion, your own error. Only errors that may be temporary are retried: a lock (`BUSY`, `LOCKED`,
    /// `PROTOCOL`), and `NOMEM`, `FULL`, `IOERR`, `CORRUPT`, `INTERNAL`, `INTERRUPT`.
    ///
    /// ```
    /// use cabrank_sqlite::{Pool, SqliteManager};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let manager = SqliteManager::memory().with_init(|conn| conn.pragma_update(None, "cache_size", -8000));
    /// let pool = Pool::builder().max_size(1).build(manager)?;
    ///
    /// pool.get()?.pragma_update(None, "cache_size", -100)?;
    /// let restored: i64 = pool.get()?.pragma_query_value(None, "cache_size", |row| row.get(0))?;
    /// assert_eq!(restored, -8000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_init(
        mut self,
        init: impl Fn(&mut rusqlite::Connection) -> rusqlite::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.init = Some(Arc::new(init));
        self
    }

    /// How long a statement waits for another connection's lock before it fails with `SQLITE_BUSY`. Default: 5 s; zero does not wait.
    /// [`with_init`](Self::with_init) overrides this. An interrupt does not shorten such a wait.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Whether foreign keys are enforced. Default: yes (SQLite's own default is no). [`with_init`](Self::with_init) overrides this.
    pub fn foreign_keys(mut self, enforced: bool) -> Self {
        self.foreign_keys = enforced;
        self
    }

    /// Whether writes are refused with `SQLITE_READONLY`, whatever the file allows. Default: no.
    pub fn query_only(mut self, query_only: bool) -> Self {
        self.query_only = query_only;
        self
    }

    /// The journal mode. Default: [`Wal`](JournalMode::Wal) for a file that is opened for writing, else
    /// [`AsFound`](JournalMode::AsFound). A mode set by [`with_init`](Self::with_init) or [`pragma`](Self::pragma) overrides the default,
    /// and so does a URI that makes WAL impossible (`mode=ro`, `immutable=1`, `nolock=1`).
    pub fn journal_mode(mut self, mode: JournalMode) -> Self {
        self.journal_mode = Some(mode);
        self
    }

    /// Sets a pragma on each new connection, after all else, such as `("synchronous", "NORMAL")` or `("cache_size", -8000)`.
    ///
    /// `auto_vacuum`, `encoding` and `page_size` are set before the header of a new file is written. Each pragma is read back: an unknown
    /// one, or a value that SQLite did not accept (misspelt, or fixed in an existing file), makes the opening fail. A pragma that already
    /// has its value is not set again.
    pub fn pragma(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.pragmas.push((name.into(), value.to_string()));
        self
    }

    /// Makes SQLite call `authorizer` before each action of each statement, as [`rusqlite::Connection::authorizer`] does.
    ///
    /// It is called while a statement is prepared, for statements of holders and `on_open`, not for this crate's own. A holder's own
    /// authorizer replaces it until the connection is returned.
    ///
    /// ```
    /// use cabrank_sqlite::rusqlite::hooks::{AuthAction, Authorization};
    /// use cabrank_sqlite::{Pool, SqliteManager};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let manager = SqliteManager::memory().authorizer(|context| match context.action {
    ///     AuthAction::Attach { .. } => Authorization::Deny,
    ///     _ => Authorization::Allow,
    /// });
    /// let pool = Pool::builder().build(manager)?;
    /// assert!(pool.get()?.execute_batch("ATTACH 'other.db' AS other").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn authorizer(mut self, authorizer: impl Fn(AuthContext<'_>) -> Authorization + Send + Sync + 'static) -> Self {
        self.authorizer = Some(Arc::new(authorizer));
        self
    }

    /// Whether its connections can write.
    pub(crate) fn writes(&self) -> bool {
        !self.query_only && self.flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            flags: OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI,
            init: None,
            busy_timeout: Duration::from_secs(5),
            foreign_keys: true,
            query_only: false,
            journal_mode: None,
            pragmas: Vec::new(),
            authorizer: None,
            part: None,
            leaving: Arc::default(),
        }
    }
}

impl fmt::Debug for SqliteManager {
    /// Without the pragmas, which may contain a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteManager")
            .field("source", &self.source)
            .field("flags", &self.flags)
            .field("busy_timeout", &self.busy_timeout)
            .field("foreign_keys", &self.foreign_keys)
            .field("query_only", &self.query_only)
            .field("journal_mode", &self.journal_mode)
            .finish_non_exhaustive()
    }
}

/// How SQLite records an open transaction. See [`SqliteManager::journal_mode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalMode {
    /// A log beside the file: readers and one writer do not wait for each other. Not for network file systems.
    Wal,
    /// A rollback journal, deleted after each transaction.
    Delete,
    /// A rollback journal, emptied after each transaction.
    Truncate,
    /// A rollback journal, kept and invalidated after each transaction.
    Persist,
    /// The file's current mode; nothing is set.
    AsFound,
}

pub(crate) type Init = Arc<dyn Fn(&mut rusqlite::Connection) -> rusqlite::Result<()> + Send + Sync>;
