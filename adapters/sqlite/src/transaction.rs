//! Transactions, which begin in a mode in which the first write cannot fail, and nested ones by savepoints.

use crate::connection::Connection;
use crate::error::failure;
use crate::manager::SqliteManager;
use crate::tokens::{InterruptHandle, Tokens};
use cabrank::Transact;
use rusqlite::{TransactionBehavior, ffi};
use std::cell::Cell;
use std::fmt;
use std::ops::Deref;

/// When a transaction takes the write lock: the options of `pool.transaction()`.
///
/// ```
/// use cabrank_sqlite::{Pool, SqliteManager, TransactionMode, rusqlite};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().build(SqliteManager::memory())?;
///
/// // Reads that all see one snapshot of the data.
/// let tables = pool.transaction().options(TransactionMode::Deferred).run(|tx| -> rusqlite::Result<u32> {
///     tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
/// })?;
/// assert_eq!(tables, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionMode {
    /// `IMMEDIATE` if the pool's connections can write, else `DEFERRED`.
    ///
    /// A deferred transaction that reads and then writes fails with `SQLITE_BUSY_SNAPSHOT`, at once and regardless of the busy time-out,
    /// whenever another connection wrote in between. An immediate one waits its turn before its first read.
    #[default]
    Usual,
    /// At the first write. Best for reads; a transaction that writes must allow retries.
    Deferred,
    /// At the beginning.
    Immediate,
    /// At the beginning; outside WAL mode this also blocks readers.
    Exclusive,
}

/// A transaction of `pool.transaction()`. Derefs to [`rusqlite::Transaction`], and so to [`rusqlite::Connection`]: `prepare_cached`
/// uses the connection's statements. For an example see [`nested`](Self::nested).
pub struct Transaction<'c>(Scope<'c>);

enum Scope<'c> {
    Outermost(Outermost<'c>),
    Nested(Savepoint<'c>),
}

struct Outermost<'c> {
    driver: rusqlite::Transaction<'c>,
    tokens: &'c Tokens,
    /// A failed nested transaction could not be undone.
    spoilt: Cell<bool>,
}

impl Transaction<'_> {
    /// Runs `work` in a transaction nested in this one, by a savepoint, to any depth.
    ///
    /// If `work` fails or panics, its changes are undone, and this transaction goes on. This method retries nothing: an error that means
    /// [`Fault::Retry`](cabrank::Fault::Retry), passed on by the closures, makes the pool run the whole transaction again.
    ///
    /// ```
    /// use cabrank_sqlite::{Pool, SqliteManager, rusqlite};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().build(SqliteManager::memory())?;
    /// pool.get()?.execute_batch("CREATE TABLE tag (name TEXT UNIQUE)")?;
    ///
    /// let new = pool.transaction().run(|tx| -> rusqlite::Result<usize> {
    ///     let mut new = 0;
    ///     for name in ["red", "blue", "red"] {
    ///         let added = tx.nested(|tx| tx.prepare_cached("INSERT INTO tag VALUES (?1)")?.execute([name]));
    ///         match added {
    ///             Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {}
    ///             added => new += added?,
    ///         }
    ///     }
    ///     Ok(new)
    /// })?;
    /// assert_eq!(new, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The unchanged error of `work`. SQLite's, if no transaction is open any more (some errors end it, such as a full disk; `work` then
    /// does not run), or if the savepoint cannot be released because `work` has ended it. If changes cannot be undone, they are not
    /// committed either: the commit of the whole transaction fails.
    pub fn nested<T, E: From<rusqlite::Error>>(
        &mut self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut nested = Transaction(Scope::Nested(self.savepoint()?));
        let value = work(&mut nested)?;
        if let Transaction(Scope::Nested(savepoint)) = nested {
            savepoint.release()?;
        }
        Ok(value)
    }

    /// Like [`Connection::get_interrupt_handle`]: it ends with the loan, not with the transaction. The driver's own, by `tx.deref()`,
    /// would still work then and interrupt the next holder.
    pub fn get_interrupt_handle(&self) -> InterruptHandle {
        let Outermost { driver, tokens, .. } = self.outermost();
        tokens.handle(driver)
    }

    fn savepoint(&self) -> rusqlite::Result<Savepoint<'_>> {
        let depth = match &self.0 {
            Scope::Outermost(_) => 1,
            Scope::Nested(outer) => outer.depth + 1,
        };
        Savepoint::set(self.outermost(), depth)
    }
}

impl<'c> Transaction<'c> {
    fn outermost(&self) -> &Outermost<'c> {
        match &self.0 {
            Scope::Outermost(outermost) => outermost,
            Scope::Nested(savepoint) => savepoint.outermost,
        }
    }
}

/// A savepoint. Rolled back and released when dropped.
struct Savepoint<'c> {
    outermost: &'c Outermost<'c>,
    /// Part of its name: the nesting depth among our savepoints.
    depth: u32,
    open: bool,
}

impl<'c> Savepoint<'c> {
    fn set(outermost: &'c Outermost<'c>, depth: u32) -> rusqlite::Result<Self> {
        // Outside of a transaction the savepoint would begin one.
        if outermost.driver.is_autocommit() {
            return Err(failure(
                ffi::SQLITE_ERROR,
                "the transaction has ended: nothing can be nested in it".to_owned(),
            ));
        }
        outermost.driver.execute_batch(&format!("SAVEPOINT cabrank_{depth}"))?;
        Ok(Self { outermost, depth, open: true })
    }

    fn release(mut self) -> rusqlite::Result<()> {
        self.outermost.driver.execute_batch(&format!("RELEASE cabrank_{}", self.depth))?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Savepoint<'_> {
    fn drop(&mut self) {
        let depth = self.depth;
        let undo = || format!("ROLLBACK TO cabrank_{depth}; RELEASE cabrank_{depth}");
        if self.open && self.outermost.driver.execute_batch(&undo()).is_err() {
            self.outermost.spoilt.set(true);
        }
    }
}

impl<'c> Deref for Transaction<'c> {
    type Target = rusqlite::Transaction<'c>;

    fn deref(&self) -> &rusqlite::Transaction<'c> {
        &self.outermost().driver
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transaction").field(&**self).finish()
    }
}

impl Transact for SqliteManager {
    type Transaction<'c> = Transaction<'c>;
    type Options = TransactionMode;

    fn begin<'c>(&self, conn: &'c mut Connection, mode: &TransactionMode) -> rusqlite::Result<Transaction<'c>> {
        let behavior = match mode {
            TransactionMode::Usual if self.writes() => TransactionBehavior::Immediate,
            TransactionMode::Usual | TransactionMode::Deferred => TransactionBehavior::Deferred,
            TransactionMode::Immediate => TransactionBehavior::Immediate,
            TransactionMode::Exclusive => TransactionBehavior::Exclusive,
        };
        let Connection { driver, tokens, .. } = conn;
        let driver = driver.transaction_with_behavior(behavior)?;
        Ok(Transaction(Scope::Outermost(Outermost { driver, tokens, spoilt: Cell::new(false) })))
    }

    /// Fails if SQLite has rolled back by itself: there is then no transaction to commit.
    fn commit(&self, transaction: Transaction<'_>) -> rusqlite::Result<()> {
        match transaction.0 {
            Scope::Outermost(Outermost { driver, spoilt, .. }) if !spoilt.get() => driver.commit(),
            // Dropping it rolls it back.
            Scope::Outermost(_) => Err(failure(
                ffi::SQLITE_ABORT,
                "a nested transaction could not be undone, because its savepoint was gone: nothing is committed"
                    .to_owned(),
            )),
            Scope::Nested(savepoint) => savepoint.release(),
        }
    }

    fn rollback(&self, transaction: Transaction<'_>) -> rusqlite::Result<()> {
        match transaction.0 {
            // Some errors (a full disk, an interrupted write) have rolled back already.
            Scope::Outermost(Outermost { driver, .. }) if driver.is_autocommit() => Ok(()),
            Scope::Outermost(Outermost { driver, .. }) => driver.rollback(),
            Scope::Nested(_) => Ok(()),
        }
    }

    fn nested<T, E: From<rusqlite::Error>>(
        outer: &mut Transaction<'_>,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        outer.nested(work)
    }
}
