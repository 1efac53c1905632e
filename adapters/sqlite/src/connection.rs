//! The connection on loan: rusqlite's own, with a record of its holder's changes.
//!
//! Owns the wrapper and the few methods that it shadows. `tracker.rs` keeps the record; `reset.rs` undoes changes.

use crate::baseline;
use crate::baseline::Baseline;
use crate::error::{moved, refused};
use crate::identity::Watched;
use crate::tokens::{InterruptHandle, Tokens};
use crate::tracker::Tracker;
use crate::watch::Trace;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{Action, Wal};
use rusqlite::{ErrorCode, FileControl, Name, Params, Row, ToSql, TransactionBehavior, TransactionState, ffi};
use std::ffi::CStr;
use std::ops::{Deref, DerefMut};
use std::time::Duration;
use std::{fmt, ptr};

/// A pooled SQLite connection. Derefs to [`rusqlite::Connection`]; a `&mut` of it is accepted wherever one of that is.
///
/// It shadows the methods whose effect SQLite does not report, only to record the call, which makes the pool reset the session on
/// return. It also shadows the methods that set a pragma, to name a refused one. The same methods called on a plain
/// `&rusqlite::Connection` (in a function that takes one, or on a transaction) are not seen; see the crate's table of what tracking
/// cannot see.
///
/// ```
/// use cabrank_sqlite::{Pool, SqliteManager};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().max_size(1).build(SqliteManager::memory())?;
///
/// let conn = pool.get()?;
/// conn.execute_batch("CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER NOT NULL)")?;
/// conn.pragma_update(None, "foreign_keys", false)?;
/// drop(conn);
///
/// let on: bool = pool.get()?.pragma_query_value(None, "foreign_keys", |row| row.get(0))?;
/// assert!(on, "the reset has restored it");
/// # Ok(())
/// # }
/// ```
pub struct Connection {
    pub(crate) driver: rusqlite::Connection,
    pub(crate) tracker: Tracker,
    pub(crate) baseline: Baseline,
    pub(crate) tokens: Tokens,
    /// The path and the identity of the file at its opening; `None` for a memory database, which cannot vanish.
    pub(crate) watched: Option<Watched>,
    /// A reset has found something that it cannot undo.
    pub(crate) beyond_reset: bool,
}

impl Connection {
    /// Like [`rusqlite::Connection::busy_timeout`]; restored on return.
    pub fn busy_timeout(&self, timeout: Duration) -> rusqlite::Result<()> {
        self.tracker.mark(Trace::BUSY);
        self.driver.busy_timeout(timeout)
    }

    /// Like [`rusqlite::Connection::busy_handler`]; replaced by the manager's time-out on return.
    pub fn busy_handler<F>(&mut self, handler: Option<F>) -> rusqlite::Result<()>
    where
        F: FnMut(i32) -> bool + Send + 'static,
    {
        self.tracker.mark(Trace::BUSY);
        self.driver.busy_handler(handler)
    }

    /// Like [`rusqlite::Connection::wal_hook`]; replaced by automatic checkpoints on return.
    pub fn wal_hook<F>(&mut self, hook: Option<F>) -> rusqlite::Result<()>
    where
        F: FnMut(&mut Wal, i32) -> rusqlite::Result<()> + Send + 'static,
    {
        self.tracker.mark(Trace::CHECKPOINTS);
        self.driver.wal_hook(hook)
    }

    /// Like [`rusqlite::Connection::commit_hook`]; removed on return.
    pub fn commit_hook<F: FnMut() -> bool + Send + 'static>(&mut self, hook: Option<F>) -> rusqlite::Result<()> {
        self.tracker.mark(Trace::HOOK);
        self.driver.commit_hook(hook)
    }

    /// Like [`rusqlite::Connection::rollback_hook`]; removed on return.
    pub fn rollback_hook<F: FnMut() + Send + 'static>(&mut self, hook: Option<F>) -> rusqlite::Result<()> {
        self.tracker.mark(Trace::HOOK);
        self.driver.rollback_hook(hook)
    }

    /// Like [`rusqlite::Connection::update_hook`]; removed on return.
    pub fn update_hook<F>(&mut self, hook: Option<F>) -> rusqlite::Result<()>
    where
        F: FnMut(Action, &str, &str, i64) + Send + 'static,
    {
        self.tracker.mark(Trace::HOOK);
        self.driver.update_hook(hook)
    }

    /// Like [`rusqlite::Connection::progress_handler`]; removed on return.
    pub fn progress_handler<F>(&mut self, steps: i32, handler: Option<F>) -> rusqlite::Result<()>
    where
        F: FnMut() -> bool + Send + 'static,
    {
        self.tracker.mark(Trace::HOOK);
        self.driver.progress_handler(steps, handler)
    }

    /// Like [`rusqlite::Connection::set_db_config`]; restored on return, or else the connection is replaced.
    pub fn set_db_config(&self, config: DbConfig, value: bool) -> rusqlite::Result<bool> {
        self.tracker.mark(if baseline::restores_config(config) { Trace::SETTING } else { Trace::LASTING });
        self.driver.set_db_config(config, value)
    }

    /// Like [`rusqlite::Connection::file_control`]; its settings cannot be restored, and the connection is replaced on return.
    pub fn file_control<N: Name>(&self, database: Option<N>, control: FileControl<'_>) -> rusqlite::Result<()> {
        if sets_something(&control) {
            self.tracker.mark(Trace::LASTING);
        }
        self.driver.file_control(database, control)
    }

    /// Like [`rusqlite::Connection::set_limit`]; restored on return, or else the connection is replaced.
    pub fn set_limit(&self, limit: rusqlite::limits::Limit, value: i32) -> rusqlite::Result<i32> {
        self.tracker.mark(if baseline::restores_limit(limit) { Trace::SETTING } else { Trace::LASTING });
        self.driver.set_limit(limit, value)
    }

    /// Like [`rusqlite::Connection::set_transaction_behavior`]; reset to `DEFERRED` on return.
    pub fn set_transaction_behavior(&mut self, behavior: TransactionBehavior) {
        self.tracker.mark(Trace::SETTING);
        self.driver.set_transaction_behavior(behavior);
    }

    /// Like [`rusqlite::Connection::get_interrupt_handle`], but without effect once the connection is returned. The driver's own handle,
    /// by `conn.deref()`, would still work then and interrupt the next holder.
    ///
    /// [`PooledConnection::canceller`](cabrank::PooledConnection::canceller) does the same for every engine.
    ///
    /// ```
    /// use cabrank_sqlite::{Pool, SqliteManager};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().build(SqliteManager::memory())?;
    /// let conn = pool.get()?;
    /// let handle = conn.get_interrupt_handle();
    /// drop(conn);
    /// handle.interrupt(); // without effect: the loan has ended
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_interrupt_handle(&self) -> InterruptHandle {
        self.tokens.handle(&self.driver)
    }

    /// Like [`rusqlite::Connection::execute_batch`]. The error names a pragma that is refused in a loan.
    pub fn execute_batch(&self, sql: &str) -> rusqlite::Result<()> {
        self.naming_what_is_refused(|driver| driver.execute_batch(sql))
    }

    /// Like [`rusqlite::Connection::execute`]. The error names a pragma that is refused in a loan.
    pub fn execute<P: Params>(&self, sql: &str, params: P) -> rusqlite::Result<usize> {
        self.naming_what_is_refused(|driver| driver.execute(sql, params))
    }

    /// Like [`rusqlite::Connection::query_row`]. The error names a pragma that is refused in a loan.
    pub fn query_row<T, P, F>(&self, sql: &str, params: P, f: F) -> rusqlite::Result<T>
    where
        P: Params,
        F: FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    {
        self.naming_what_is_refused(|driver| driver.query_row(sql, params, f))
    }

    /// Like [`rusqlite::Connection::pragma_update`]. The error names a pragma that is refused in a loan.
    pub fn pragma_update<V: ToSql>(&self, schema: Option<&str>, pragma: &str, value: V) -> rusqlite::Result<()> {
        self.naming_what_is_refused(|driver| driver.pragma_update(schema, pragma, value))
    }

    /// Like [`rusqlite::Connection::pragma_update_and_check`]. The error names a pragma that is refused in a loan.
    pub fn pragma_update_and_check<F, T, V>(
        &self,
        schema: Option<&str>,
        pragma: &str,
        value: V,
        f: F,
    ) -> rusqlite::Result<T>
    where
        F: FnOnce(&Row<'_>) -> rusqlite::Result<T>,
        V: ToSql,
    {
        self.naming_what_is_refused(|driver| driver.pragma_update_and_check(schema, pragma, value, f))
    }

    fn naming_what_is_refused<T>(
        &self,
        run: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        // Clears a pragma that another method was refused.
        self.tracker.takes_refused();
        run(&self.driver).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::AuthorizationForStatementDenied) => self.tracker.takes_refused().map_or(error, refused),
            _ => error,
        })
    }

    /// Whether the texts of the cached statements are longer than the limit for the next holder.
    pub(crate) fn keeps_too_much(&self) -> bool {
        let mut length = 0;
        #[allow(unsafe_code)] // The driver exposes neither the statements in its cache nor their number.
        // SAFETY: the handle is that of an open connection, which nobody else uses meanwhile: no statement ends within the loop. Each
        // text is the statement's own, ends in a zero, and is not kept.
        unsafe {
            let database = self.driver.handle();
            let mut statement = ffi::sqlite3_next_stmt(database, ptr::null_mut());
            while !statement.is_null() {
                let text = ffi::sqlite3_sql(statement);
                if !text.is_null() {
                    length += CStr::from_ptr(text).count_bytes();
                }
                statement = ffi::sqlite3_next_stmt(database, statement);
            }
        }
        length > LONGEST_TEXTS
    }

    /// Sets `last_insert_rowid()` to 0 again.
    pub(crate) fn forget_last_row(&mut self) {
        #[allow(unsafe_code)] // The driver has no method for this.
        // SAFETY: the handle is that of an open connection, which nobody else uses meanwhile. The call only stores a number.
        unsafe {
            ffi::sqlite3_set_last_insert_rowid(self.driver.handle(), 0);
        }
    }

    /// Whether nothing is under way outside a transaction. A leaked statement, blob or backup keeps its lock.
    pub(crate) fn is_at_rest(&self) -> bool {
        !self.driver.is_busy() && !self.is_copied_into()
    }

    /// Whether a backup into this connection is under way, whose incomplete copy the next statement would commit.
    pub(crate) fn is_copied_into(&self) -> bool {
        self.driver.is_autocommit() && self.driver.transaction_state(None::<&str>) != Ok(TransactionState::None)
    }

    /// Whether a memory database is still readable. It is not if a database in WAL mode was copied into it. A file shows that at its
    /// next check.
    pub(crate) fn is_readable(&self) -> bool {
        self.watched.is_some() || self.check().is_ok()
    }

    /// Checks that the path still leads to this file, and that it is readable. Does not wait for locks: a lock proves that the file is
    /// fine.
    pub(crate) fn check(&self) -> rusqlite::Result<()> {
        if let Some(watched) = &self.watched {
            watched.check().map_err(moved)?;
        }
        match self.tracker.unwatched(|| read_without_waiting(&self.driver)) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(()),
            other => other,
        }
    }
}

/// Whether it changes a lasting setting. With a negative number SQLite only reports the current value.
fn sets_something(control: &FileControl<'_>) -> bool {
    match control {
        FileControl::SizeHint(_) | FileControl::DataVersion(_) => false,
        #[cfg(unix)]
        FileControl::HasMoved(_) => false,
        FileControl::PersistWal(number)
        | FileControl::PowerSafeOverwrite(number)
        | FileControl::ReserveBytes(number) => **number >= 0,
        FileControl::MMapSize(size) => **size >= 0,
        _ => true,
    }
}

/// Fails with `SQLITE_BUSY` if another connection's lock is in the way.
fn read_without_waiting(driver: &rusqlite::Connection) -> rusqlite::Result<()> {
    let patience = baseline::busy_timeout(driver)?;
    // Zero may also mean a busy handler, which could not be restored.
    if patience == 0 {
        return baseline::read_schema_version(driver);
    }
    driver.busy_timeout(Duration::ZERO)?;
    let read = baseline::read_schema_version(driver);
    driver.busy_timeout(Duration::from_millis(patience.unsigned_abs()))?;
    read
}

impl Deref for Connection {
    type Target = rusqlite::Connection;

    fn deref(&self) -> &rusqlite::Connection {
        &self.driver
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut rusqlite::Connection {
        &mut self.driver
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("driver", &self.driver).field("tracker", &self.tracker).finish()
    }
}

/// Of all prepared statements passed to the next holder, in bytes. A statement takes many times its text's memory.
const LONGEST_TEXTS: usize = 1024 * 1024;
