//! Transactions: the driver's own, with the connection's statements, nested by savepoints, and a commit that reports a rollback.

use crate::abort::CancelToken;
use crate::connection::Connection;
use crate::manager::PostgresManager;
use crate::statements::Statements;
use crate::tokens::Tokens;
use crate::unread::Scissors;
use cabrank::Transact;
use postgres::error::SqlState;
use postgres::{Error, IsolationLevel, Statement};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// The options of `pool.transaction()`. Unset options are the server's.
///
/// ```no_run
/// use cabrank_postgres::postgres::{Error, IsolationLevel, NoTls};
/// use cabrank_postgres::{Pool, PostgresManager, TransactionOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().build(PostgresManager::from_url("postgres://app:secret@localhost/shop", NoTls)?)?;
///
/// let options = TransactionOptions::new().isolation_level(IsolationLevel::Serializable);
/// let moved = pool.transaction().options(options).retries(3).run(|tx| -> Result<u64, Error> {
///     tx.execute("UPDATE account SET money = money - 100 WHERE id = 1", &[])?;
///     tx.execute("UPDATE account SET money = money + 100 WHERE id = 2", &[])
/// })?;
/// # let _ = moved;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TransactionOptions {
    isolation_level: Option<IsolationLevel>,
    read_only: Option<bool>,
    deferrable: Option<bool>,
}

impl TransactionOptions {
    /// Creates options that leave everything to the server.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the isolation level. With `Serializable` and `RepeatableRead` also set retries.
    pub fn isolation_level(mut self, level: IsolationLevel) -> Self {
        self.isolation_level = Some(level);
        self
    }

    /// Whether writes are refused.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = Some(read_only);
        self
    }

    /// Whether a serializable, read-only transaction waits at its beginning until it can run without the risk of a failure.
    pub fn deferrable(mut self, deferrable: bool) -> Self {
        self.deferrable = Some(deferrable);
        self
    }
}

/// A transaction of `pool.transaction()`. Derefs to [`postgres::Transaction`], and is rolled back when dropped. For an example see
/// [`nested`](Self::nested).
pub struct Transaction<'c> {
    /// `None` once it has ended.
    driver: Option<postgres::Transaction<'c>>,
    statements: &'c mut Statements,
    scissors: Scissors<'c>,
    tokens: &'c Arc<Tokens>,
    /// The number of our savepoints around it.
    depth: u32,
}

impl<'c> Transaction<'c> {
    /// Returns the driver's own transaction, for functions that require it.
    pub fn driver(&mut self) -> &mut postgres::Transaction<'c> {
        self.driver.as_mut().expect(OPEN)
    }

    /// Like [`Connection::prepare_cached`], with the same cache: a cached statement costs no round trip.
    ///
    /// # Errors
    ///
    /// The driver's, if the server does not accept `sql`.
    pub fn prepare_cached(&mut self, sql: &str) -> Result<Statement, Error> {
        let driver = self.driver.as_mut().expect(OPEN);
        self.statements.prepare(sql, self.scissors.tap, || driver.prepare(sql))
    }

    /// Like [`Connection::cancel_token`]: without effect once the loan has ended. The token of the driver's transaction
    /// ([`driver`](Self::driver)) has no such bound.
    pub fn cancel_token(&self) -> CancelToken {
        CancelToken {
            token: self.driver.as_ref().expect(OPEN).cancel_token(),
            connector: self.scissors.connector.clone(),
            tokens: Arc::clone(self.tokens),
        }
    }

    /// Runs `work` in a transaction nested in this one, by a savepoint, to any depth: two round trips, or three if it fails.
    ///
    /// If `work` fails or panics, its changes are undone, and this transaction goes on, even after a server error, which would otherwise
    /// make the server refuse all further statements. This method retries nothing: an error that means
    /// [`Fault::Retry`](cabrank::Fault::Retry), passed on by the closures, makes the pool run the whole transaction again.
    ///
    /// ```no_run
    /// use cabrank_postgres::postgres::{Error, NoTls, error::SqlState};
    /// use cabrank_postgres::{Pool, PostgresManager};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().build(PostgresManager::from_url("postgres://app:secret@localhost/shop", NoTls)?)?;
    ///
    /// let new = pool.transaction().run(|tx| -> Result<u64, Error> {
    ///     let insert = tx.prepare_cached("INSERT INTO tag VALUES ($1)")?;
    ///     let mut new = 0;
    ///     for name in ["red", "blue", "red"] {
    ///         let added = tx.nested(|tx| tx.execute(&insert, &[&name]));
    ///         match added {
    ///             Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {}
    ///             added => new += added?,
    ///         }
    ///     }
    ///     Ok(new)
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The unchanged error of `work`, or the driver's if the savepoint cannot be set (`work` then does not run) or released: because
    /// `work` has ignored a server error (25P02), or ended the savepoint itself. If changes cannot be undone, the commit of the whole
    /// transaction fails.
    pub fn nested<T, E: From<Error>>(
        &mut self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let depth = self.depth + 1;
        let outcome = {
            let driver = self.driver.as_mut().expect(OPEN).savepoint(format!("cabrank_{depth}"))?;
            let (driver, scissors, tokens) = (Some(driver), self.scissors, self.tokens);
            let mut nested = Transaction { driver, statements: self.statements, scissors, tokens, depth };
            work(&mut nested).and_then(|value| nested.take().commit().map(|()| value).map_err(E::from))
        };
        if outcome.is_err() {
            // The driver rolls back without releasing, and after a failed release it does neither. If this fails, the server treats the
            // whole transaction as aborted.
            let undo = format!("ROLLBACK TO cabrank_{depth}; RELEASE cabrank_{depth}");
            let _ = self.batch_execute(&undo);
        }
        outcome
    }

    /// It ends as the caller chooses.
    fn take(&mut self) -> postgres::Transaction<'c> {
        self.driver.take().expect(OPEN)
    }
}

/// An open transaction is rolled back, to its savepoint if it has one.
impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            // If it fails, the connection shows that.
            let _ = self.scissors.cut(driver.cancel_token(), || driver.rollback());
        }
    }
}

impl<'c> Deref for Transaction<'c> {
    type Target = postgres::Transaction<'c>;

    fn deref(&self) -> &postgres::Transaction<'c> {
        self.driver.as_ref().expect(OPEN)
    }
}

impl<'c> DerefMut for Transaction<'c> {
    fn deref_mut(&mut self) -> &mut postgres::Transaction<'c> {
        self.driver()
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("depth", &self.depth).finish_non_exhaustive()
    }
}

impl Transact for PostgresManager {
    type Transaction<'c> = Transaction<'c>;
    type Options = TransactionOptions;

    fn begin<'c>(&self, conn: &'c mut Connection, options: &TransactionOptions) -> Result<Transaction<'c>, Error> {
        conn.forget_outdated();
        let mut builder = conn.client.build_transaction();
        if let Some(level) = options.isolation_level {
            builder = builder.isolation_level(level);
        }
        if let Some(read_only) = options.read_only {
            builder = builder.read_only(read_only);
        }
        if let Some(deferrable) = options.deferrable {
            builder = builder.deferrable(deferrable);
        }
        let (driver, transaction_pooler) = (Some(builder.start()?), conn.transaction_pooler);
        let scissors = Scissors { tap: conn.tap.as_deref(), connector: &conn.connector, transaction_pooler };
        Ok(Transaction { driver, statements: &mut conn.statements, scissors, tokens: &conn.tokens, depth: 0 })
    }

    /// The server answers `COMMIT` of an aborted transaction with a rollback and no error. A preceding statement, in the same round trip,
    /// fails there.
    fn commit(&self, mut transaction: Transaction<'_>) -> Result<(), Error> {
        match transaction.batch_execute("SELECT 1; COMMIT") {
            Ok(()) => {
                done(transaction);
                Ok(())
            }
            Err(error) => {
                // If it was aborted before the COMMIT, the transaction is still open, and dropping it rolls it back. If the COMMIT itself
                // failed, it is gone, and a ROLLBACK would put a warning into the server's log.
                let open = error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION);
                if !open && transaction.batch_execute("BEGIN; ROLLBACK").is_ok() {
                    done(transaction);
                }
                Err(error)
            }
        }
    }

    fn rollback(&self, mut transaction: Transaction<'_>) -> Result<(), Error> {
        let driver = transaction.take();
        transaction.scissors.cut(driver.cancel_token(), || driver.rollback())
    }

    fn nested<T, E: From<Error>>(
        outer: &mut Transaction<'_>,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        outer.nested(work)
    }
}

/// Releases a transaction that has ended already, without the ROLLBACK that dropping it would send. It owns only references, and no
/// savepoint's name, because it is the outermost.
fn done(mut transaction: Transaction<'_>) {
    std::mem::forget(transaction.take());
}

const OPEN: &str = "a transaction owns the driver's until it ends";
