//! `SqliteManager`: what to open and how.
//!
//! Owns the settings, and does no I/O. What the pool does with them is `contract.rs`.

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
/// A clone opens the same database, a memory database too.
#[derive(Clone)]
pub struct SqliteManager {
    pub(crate) source: Source,
    pub(crate) flags: OpenFlags,
    pub(crate) init: Option<Init>,
    pub(crate) busy_timeout: Duration,
    pub(crate) foreign_keys: bool,
    pub(crate) query_only: bool,
    /// `None` until chosen: WAL for a file that may be written, unless something else was chosen in another way.
    pub(crate) journal_mode: Option<JournalMode>,
    pub(crate) pragmas: Vec<(String, String)>,
    pub(crate) authorizer: Option<Authorizer>,
    /// Which of a pair of pools this is for, for the pool's name.
    pub(crate) part: Option<&'static str>,
    /// Held while a connection closes: see [`close`](cabrank::Manager::close). Clones share it.
    pub(crate) leaving: Arc<Mutex<()>>,
}

impl SqliteManager {
    /// Opens the file at `path`, which must exist unless [`create`](Self::create) is asked for.
    ///
    /// A relative path is resolved now, so that a later change of directory does not lead to another file. A path that
    /// begins with `file:` is a URI. What would give each connection a database of its own (`:memory:`, an empty path,
    /// `mode=memory`) is refused when it is opened.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::new(Source::file(path.as_ref()))
    }

    /// Opens a new, empty database in memory, which all connections of this manager and its clones share.
    ///
    /// It lives until the last clone and the last connection are gone: the manager keeps one more connection, which the
    /// pool does not count. One connection writes or several read at a time; the others wait for `busy_timeout`.
    pub fn memory() -> Self {
        Self::new(Source::memory())
    }

    /// Whether to create the file if it does not exist. Default: no, for a slip in a path would make an empty database.
    pub fn create(mut self, create: bool) -> Self {
        let create = create && !self.flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY);
        self.flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
        self
    }

    /// Opens the file for reading only, which then is never created. The journal mode is left as it is found.
    pub fn read_only(mut self) -> Self {
        self.flags.remove(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE);
        self.flags.insert(OpenFlags::SQLITE_OPEN_READ_ONLY);
        self
    }

    /// Opens with exactly these flags. Default: `READ_WRITE | NO_MUTEX | URI`; note that rusqlite's own default
    /// creates.
    pub fn with_flags(mut self, flags: OpenFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Runs `init` on each new connection before anything is read or set: the place for an encryption key, functions,
    /// collations, and settings that shall hold for every loan.
    ///
    /// What `init` sets is what a reset puts back, and it wins over this manager's defaults and over
    /// [`busy_timeout`](Self::busy_timeout) and [`foreign_keys`](Self::foreign_keys); [`pragma`](Self::pragma) and
    /// [`journal_mode`](Self::journal_mode) come after it. Hooks that `init` sets stay. What replaces one of them in a loan cannot be
    /// undone, and the connection is replaced. An authorizer fails the opening, for this crate needs that place: give it to
    /// [`authorizer`](Self::authorizer). Temporary objects do not survive a reset: make those in the pool's `on_open`, which
    /// runs again after each.
    ///
    /// An error of `init` is a permanent fault, and building the pool fails at once: a syntax error, a missing table, a violated
    /// constraint, a conversion that fails, an error of your own. Only what may pass is tried again: a lock (`BUSY`, `LOCKED`,
    /// `PROTOCOL`), and `NOMEM`, `FULL`, `IOERR`, `CORRUPT`, `INTERNAL`, `INTERRUPT`.
    pub fn with_init(
        mut self,
        init: impl Fn(&mut rusqlite::Connection) -> rusqlite::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.init = Some(Arc::new(init));
        self
    }

    /// How long a statement waits for another connection's lock before it fails with `SQLITE_BUSY`. Default: 5 s; zero
    /// does not wait. What [`with_init`](Self::with_init) sets wins. Interrupting such a wait does not shorten it.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Whether foreign keys are enforced. Default: yes (SQLite's own default is no). What [`with_init`](Self::with_init) sets
    /// wins.
    pub fn foreign_keys(mut self, enforced: bool) -> Self {
        self.foreign_keys = enforced;
        self
    }

    /// Whether writing is refused with `SQLITE_READONLY`, whatever the file allows. Default: no.
    pub fn query_only(mut self, query_only: bool) -> Self {
        self.query_only = query_only;
        self
    }

    /// The journal mode to ask for. Default: [`Wal`](JournalMode::Wal) for a file that is opened for writing, else
    /// [`AsFound`](JournalMode::AsFound). The default gives way to a mode that [`with_init`](Self::with_init) or
    /// [`pragma`](Self::pragma) sets, and to a URI that makes WAL impossible (`mode=ro`, `immutable=1`, `nolock=1`).
    pub fn journal_mode(mut self, mode: JournalMode) -> Self {
        self.journal_mode = Some(mode);
        self
    }

    /// Sets a pragma on each new connection, after all else, such as `("synchronous", "NORMAL")` or `("cache_size", -8000)`.
    ///
    /// `auto_vacuum`, `encoding` and `page_size` are set before a new file gets its head. Each pragma is read back: one that
    /// SQLite does not have, or a value that it did not take (misspelt, or fixed in an existing file), is refused when a
    /// connection is opened. A pragma that has its value already is not set again.
    pub fn pragma(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.pragmas.push((name.into(), value.to_string()));
        self
    }

    /// Has SQLite ask `authorizer` before each action of each statement, as [`rusqlite::Connection::authorizer`] does.
    ///
    /// It is asked while a statement is prepared, for what holders and `on_open` run, not for what this crate does. A
    /// holder's own authorizer takes its place until the connection is returned.
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

    /// Can its connections write?
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
    /// Without the pragmas, which may hold a key.
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

/// How SQLite keeps a transaction that is under way. See [`SqliteManager::journal_mode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalMode {
    /// A log beside the file: readers and one writer do not wait for each other. Not for network file systems.
    Wal,
    /// A rollback journal, deleted after each transaction.
    Delete,
    /// A rollback journal, emptied after each transaction.
    Truncate,
    /// A rollback journal, kept and marked void after each transaction.
    Persist,
    /// Whatever the file is in; nothing is set.
    AsFound,
}

pub(crate) type Init = Arc<dyn Fn(&mut rusqlite::Connection) -> rusqlite::Result<()> + Send + Sync>;
