//! The connection that is lent: rusqlite's own, with a record of what its holder changed.
//!
//! Owns the wrapping and the few methods it shadows. How the record is kept is `tracker.rs`; how changes are undone is
//! `reset.rs`.

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
/// It shadows the methods whose effect SQLite reports to nobody, only to remember that they were called, so that the session is reset
/// when the connection comes back; and those by which a pragma is set, to name one that is refused. The same methods called on a plain
/// `&rusqlite::Connection` (in a function that takes one, or on a transaction) go unseen; see the crate's table of what tracking cannot
/// see.
pub struct Connection {
    pub(crate) driver: rusqlite::Connection,
    pub(crate) tracker: Tracker,
    pub(crate) baseline: Baseline,
    pub(crate) tokens: Tokens,
    /// The file and which file it was when it was opened; `None` for a memory database, which cannot go away.
    pub(crate) watched: Option<Watched>,
    /// A reset has found what it cannot undo.
    pub(crate) beyond_reset: bool,
}

impl Connection {
    /// As [`rusqlite::Connection::busy_timeout`]; set back when the connection is returned.
    pub fn busy_timeout(&self, timeout: Duration) -> rusqlite::Result<()> {
        self.tracker.mark(Trace::BUSY);
        self.driver.busy_timeout(timeout)
    }

    /// As [`rusqlite::Connection::busy_handler`]; replaced by the manager's time-out when the connection is returned.
    pub fn busy_handler<F>(&mut self, handler: Option<F>) -> rusqlite::Result<()>
    where
        F: FnMut(i32) -> bool + Send + 'static,
    {
        self.tracker.mark(Trace::BUSY);
        self.driver.busy_handler(handler)
    }

    /// As [`rusqlite::Connection::wal_hook`]; automatic checkpoints take its place again when the connection is returned.
    pub fn wal_hook<F>(&mut self, hook: Option<F>) -> rusqlite::Result<()>
    where
        F: FnMut(&mut Wal, i32) -> rusqlite::Result<()> + Send + 'static,
    {
        self.tracker.mark(Trace::CHECKPOINTS);
        self.driver.wal_hook(hook)
    }

    /// As [`rusqlite::Connection::commit_hook`]; gone when the connection is returned.
    pub fn commit_hook<F: FnMut() -> bool + Send + 'static>(&mut self, hook: Option<F>) -> rusqlite::Result<()> {
        self.tracker.mark(Trace::HOOK);
        self.driver.commit_hook(hook)
    }

    /// As [`rusqlite::Connection::rollback_hook`]; gone when the connection is returned.
    pub fn rollback_hook<F: FnMut() + Send + 'static>(&mut self, hook: Option<F>) -> rusqlite::Result<()> {
        self.tracker.mark(Trace::HOOK);
        self.driver.rollback_hook(hook)
    }

    /// As [`rusqlite::Connection::update_hook`]; gone when the connection is returned.
    pub fn update_hook<F>(&mut self, hook: Option<F>) -> rusqlite::Result<()>
    where
        F: FnMut(Action, &str, &str, i64) + Send + 'static,
    {
        self.tracker.mark(Trace::HOOK);
        self.driver.update_hook(hook)
    }

    /// As [`rusqlite::Connection::progress_handler`]; gone when the connection is returned.
    pub fn progress_handler<F>(&mut self, steps: i32, handler: Option<F>) -> rusqlite::Result<()>
    where
        F: FnMut() -> bool + Send + 'static,
    {
        self.tracker.mark(Trace::HOOK);
        self.driver.progress_handler(steps, handler)
    }

    /// As [`rusqlite::Connection::set_db_config`]; set back when the connection is returned, or the connection is replaced.
    pub fn set_db_config(&self, config: DbConfig, value: bool) -> rusqlite::Result<bool> {
        self.tracker.mark(if baseline::restores_config(config) { Trace::SETTING } else { Trace::LASTING });
        self.driver.set_db_config(config, value)
    }

    /// As [`rusqlite::Connection::file_control`]; what it sets stays with the connection, which is replaced when it is returned.
    pub fn file_control<N: Name>(&self, database: Option<N>, control: FileControl<'_>) -> rusqlite::Result<()> {
        if sets_something(&control) {
            self.tracker.mark(Trace::LASTING);
        }
        self.driver.file_control(database, control)
    }

    /// As [`rusqlite::Connection::set_limit`]; set back when the connection is returned, or the connection is replaced.
    pub fn set_limit(&self, limit: rusqlite::limits::Limit, value: i32) -> rusqlite::Result<i32> {
        self.tracker.mark(if baseline::restores_limit(limit) { Trace::SETTING } else { Trace::LASTING });
        self.driver.set_limit(limit, value)
    }

    /// As [`rusqlite::Connection::set_transaction_behavior`]; `DEFERRED` again when the connection is returned.
    pub fn set_transaction_behavior(&mut self, behavior: TransactionBehavior) {
        self.tracker.mark(Trace::SETTING);
        self.driver.set_transaction_behavior(behavior);
    }

    /// As [`rusqlite::Connection::get_interrupt_handle`], until the connection is returned: then the handle does nothing. The driver's
    /// own, by `conn.deref()`, would go on and interrupt the next holder.
    ///
    /// [`PooledConnection::canceller`](cabrank::PooledConnection::canceller) does the same for every engine.
    pub fn get_interrupt_handle(&self) -> InterruptHandle {
        self.tokens.handle(&self.driver)
    }

    /// As [`rusqlite::Connection::execute_batch`]. The error names a pragma that is refused in a loan.
    pub fn execute_batch(&self, sql: &str) -> rusqlite::Result<()> {
        self.naming_what_is_refused(|driver| driver.execute_batch(sql))
    }

    /// As [`rusqlite::Connection::execute`]. The error names a pragma that is refused in a loan.
    pub fn execute<P: Params>(&self, sql: &str, params: P) -> rusqlite::Result<usize> {
        self.naming_what_is_refused(|driver| driver.execute(sql, params))
    }

    /// As [`rusqlite::Connection::query_row`]. The error names a pragma that is refused in a loan.
    pub fn query_row<T, P, F>(&self, sql: &str, params: P, f: F) -> rusqlite::Result<T>
    where
        P: Params,
        F: FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    {
        self.naming_what_is_refused(|driver| driver.query_row(sql, params, f))
    }

    /// As [`rusqlite::Connection::pragma_update`]. The error names a pragma that is refused in a loan.
    pub fn pragma_update<V: ToSql>(&self, schema: Option<&str>, pragma: &str, value: V) -> rusqlite::Result<()> {
        self.naming_what_is_refused(|driver| driver.pragma_update(schema, pragma, value))
    }

    /// As [`rusqlite::Connection::pragma_update_and_check`]. The error names a pragma that is refused in a loan.
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
        // One that was refused on another road is not meant.
        self.tracker.takes_refused();
        run(&self.driver).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::AuthorizationForStatementDenied) => self.tracker.takes_refused().map_or(error, refused),
            _ => error,
        })
    }

    /// Are the texts of the statements that are kept longer than what is handed on to the next holder?
    pub(crate) fn keeps_too_much(&self) -> bool {
        let mut length = 0;
        #[allow(unsafe_code)] // The driver shows neither the statements in its cache nor their number.
        // SAFETY: the handle is that of an open connection, which nobody else uses meanwhile, so that no statement ends within the
        // loop; each text is the statement's own, ends in a zero, and is not kept.
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

    /// `last_insert_rowid()` is 0 again.
    pub(crate) fn forget_last_row(&mut self) {
        #[allow(unsafe_code)] // The driver has no method for this.
        // SAFETY: the handle is that of an open connection, which nobody else uses meanwhile. All that is done is to store a number.
        unsafe {
            ffi::sqlite3_set_last_insert_rowid(self.driver.handle(), 0);
        }
    }

    /// Outside a transaction, is nothing under way? A statement, a blob or a backup that was leaked keeps its lock.
    pub(crate) fn is_at_rest(&self) -> bool {
        !self.driver.is_busy() && !self.is_copied_into()
    }

    /// Is a backup into this connection under way? The next statement would commit what there is of it.
    pub(crate) fn is_copied_into(&self) -> bool {
        self.driver.is_autocommit() && self.driver.transaction_state(None::<&str>) != Ok(TransactionState::None)
    }

    /// Can a memory database still be read? Not if one in WAL mode was copied into it. A file shows that at its next check.
    pub(crate) fn is_readable(&self) -> bool {
        self.watched.is_some() || self.check().is_ok()
    }

    /// Does the path still lead to this file, and can it be read? Does not wait for locks: that there is one
    /// proves that the file is well.
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

/// Does it change what lasts? Of a number below zero SQLite only says how it stands.
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

/// Fails with `SQLITE_BUSY` where the lock of another connection is in the way.
fn read_without_waiting(driver: &rusqlite::Connection) -> rusqlite::Result<()> {
    let patience = baseline::busy_timeout(driver)?;
    // Zero also stands for a busy handler, which could not be put back.
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

/// Of all prepared statements that are handed on, in bytes. A statement takes many times its text's memory.
const LONGEST_TEXTS: usize = 1024 * 1024;
