//! Transactions: the driver's own, with the connection's statements, nested by savepoints, and a commit that does not lie.

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

/// How a transaction is begun: the options of `pool.transaction()`. What is not set is as the server has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct TransactionOptions {
    isolation_level: Option<IsolationLevel>,
    read_only: Option<bool>,
    deferrable: Option<bool>,
}

impl TransactionOptions {
    /// The server's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The isolation level. With `Serializable` and `RepeatableRead` ask for retries.
    pub fn isolation_level(mut self, level: IsolationLevel) -> Self {
        self.isolation_level = Some(level);
        self
    }

    /// Whether writing is refused.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = Some(read_only);
        self
    }

    /// Whether a serializable, read-only transaction waits at its beginning until it can run without ever failing.
    pub fn deferrable(mut self, deferrable: bool) -> Self {
        self.deferrable = Some(deferrable);
        self
    }
}

/// A transaction of `pool.transaction()`. Derefs to [`postgres::Transaction`].
pub struct Transaction<'c> {
    /// `None` once it has ended.
    driver: Option<postgres::Transaction<'c>>,
    statements: &'c mut Statements,
    scissors: Scissors<'c>,
    tokens: &'c Arc<Tokens>,
    /// How many savepoints of ours are set around it.
    depth: u32,
}

impl<'c> Transaction<'c> {
    /// The driver's own transaction, where a function wants just that.
    pub fn driver(&mut self) -> &mut postgres::Transaction<'c> {
        self.driver.as_mut().expect(OPEN)
    }

    /// As [`Connection::prepare_cached`], with the same statements: one that this connection has kept costs no round trip.
    ///
    /// # Errors
    ///
    /// The driver's, if the server does not accept `sql`.
    pub fn prepare_cached(&mut self, sql: &str) -> Result<Statement, Error> {
        let driver = self.driver.as_mut().expect(OPEN);
        self.statements.prepare(sql, self.scissors.tap, || driver.prepare(sql))
    }

    /// As [`Connection::cancel_token`]: of no use once the loan has ended. That of the driver's transaction
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
    /// If `work` fails or panics, what it did is undone, and this transaction goes on, also after an error of the server, which
    /// otherwise refuses all further statements. Nothing is tried again here: an error that means
    /// [`Fault::Retry`](cabrank::Fault::Retry), passed on by the closures, has the pool run the whole transaction anew.
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
    /// That of `work`, as it is. The driver's, if the savepoint cannot be set (`work` then does not run) or released: because `work`
    /// has passed over an error of the server (25P02), or ended the savepoint itself. If what was done cannot be undone, the commit
    /// of the whole fails.
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
            // The driver rolls back and does not release, and after a release that failed it does neither. If this cannot
            // be done, the server takes the whole transaction for aborted.
            let undo = format!("ROLLBACK TO cabrank_{depth}; RELEASE cabrank_{depth}");
            let _ = self.batch_execute(&undo);
        }
        outcome
    }

    /// It ends, as the caller says.
    fn take(&mut self) -> postgres::Transaction<'c> {
        self.driver.take().expect(OPEN)
    }
}

/// One that has not ended is rolled back, to its savepoint if it has one.
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

    /// The server answers `COMMIT` of an aborted transaction with a rollback and no error. A statement in front of it, in
    /// the same round trip, fails there.
    fn commit(&self, mut transaction: Transaction<'_>) -> Result<(), Error> {
        match transaction.batch_execute("SELECT 1; COMMIT") {
            Ok(()) => {
                done(transaction);
                Ok(())
            }
            Err(error) => {
                // Aborted before the COMMIT, the transaction is still open, and dropping it rolls it back. Failed by the
                // COMMIT itself, it is gone, and a ROLLBACK would put a warning into the server's log.
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

/// Lets go of a transaction that has ended already, without the ROLLBACK that dropping it would send. It owns nothing else:
/// references, and no savepoint's name, for it is the outermost.
fn done(mut transaction: Transaction<'_>) {
    std::mem::forget(transaction.take());
}

const OPEN: &str = "a transaction has the driver's until it ends";
