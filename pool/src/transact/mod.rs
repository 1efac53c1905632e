//! Running a closure on a connection or in a transaction, with its errors shown to the pool. The error types are in `error.rs`.

mod error;

pub use error::{AsError, RunError, TransactionError, UserError, kind};

use crate::guard::PooledConnection;
use crate::manager::{Fault, Manager, SessionState, Transact};
use crate::pool::Pool;
use crate::run_async::RunAsync;
use crate::sync;
use std::panic::Location;
use std::time::Duration;

impl<M: Manager> Pool<M> {
    /// Checks out a connection, runs `work` on it, and returns it.
    ///
    /// A closure that ends in `Ok(..)` must name its error type, or the compiler reports E0283, "cannot satisfy `_: AsError<_>`":
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # use std::io::Error as MyError;
    /// # let pool = Pool::builder().build(Toy)?;
    /// pool.run(|conn| -> Result<(), MyError> {
    ///     conn.execute("DELETE FROM carts")?;
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// To decide whether the connection is still usable, the pool looks for the driver's error: it may be the closure's error itself, or
    /// one of its sources, as in an enum, `anyhow::Error` or `Box<dyn Error>`. Without it, the pool ignores the error. A variant with
    /// `#[error(transparent)]` hides the driver's error and shows only what caused it. That is enough for the statement errors of
    /// PostgreSQL and SQLite, but not of MySQL: give such a variant its own text. If the closure passes on an error of another connection
    /// or server, the pool takes it for one of this connection.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// use cabrank::RunError;
    /// use std::io::ErrorKind;
    ///
    /// let deleted = pool.run(|conn| conn.execute("DELETE FROM carts"))?;
    /// assert_eq!(deleted, 1);
    /// match pool.run(|conn| conn.execute("DELEET FROM carts")) {
    ///     Err(RunError::User(error)) => assert_eq!(error.kind(), ErrorKind::InvalidInput),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunError::Get`] if there is no connection, else the closure's own error in [`RunError::User`].
    #[track_caller]
    pub fn run<T, E, K>(
        &self,
        work: impl FnOnce(&mut PooledConnection<M>) -> Result<T, E>,
    ) -> Result<T, RunError<M::Error, E>>
    where
        E: AsError<K>,
    {
        let mut conn = self.get().map_err(RunError::Get)?;
        work(&mut conn).map_err(|error| {
            PooledConnection::report_any(&mut conn, error.as_error());
            RunError::User(UserError::new(error))
        })
    }
}

impl<M: Transact> Pool<M> {
    /// Returns a builder for a transaction, which checks out its own connection.
    ///
    /// A closure that ends in `Ok(..)` must name its error type: `run(|tx| -> Result<_, MyError> { .. })`. Without it the compiler reports
    /// E0283, "cannot satisfy `_: AsError<_>`".
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// use cabrank::TransactionError;
    ///
    /// pool.transaction().retries(3).run(|tx| {
    ///     tx.execute("UPDATE accounts SET balance = balance - 5 WHERE id = 1")?;
    ///     tx.execute("UPDATE accounts SET balance = balance + 5 WHERE id = 2")
    /// })?;
    /// assert_eq!(pool.get()?.log.last().unwrap(), "COMMIT");
    ///
    /// // A closure that fails is rolled back, and its error is returned.
    /// let error = pool.transaction().run(|tx| tx.execute("UPDTAE accounts")).unwrap_err();
    /// assert!(matches!(error, TransactionError::User(_)));
    /// assert_eq!(pool.get()?.log.last().unwrap(), "ROLLBACK");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transaction(&self) -> Transaction<'_, M> {
        Transaction { pool: self, options: M::Options::default(), retries: 0 }
    }
}

/// A transaction to run. See [`Pool::transaction`].
#[must_use = "a transaction does nothing until it is run"]
#[derive(Debug)]
pub struct Transaction<'p, M: Transact> {
    pool: &'p Pool<M>,
    options: M::Options,
    retries: u32,
}

impl<M: Transact> Transaction<'_, M> {
    /// The driver's transaction options. Default: the driver's.
    pub fn options(mut self, options: M::Options) -> Self {
        self.options = options;
        self
    }

    /// How often the transaction is retried after a serialization failure, a deadlock or a similar error. Default: 0.
    ///
    /// The closure's error must contain the driver's: see [`Pool::run`]. A lost connection or a server in the wrong role is not retried:
    /// unless the error is [`TransactionError::Unknown`], nothing was done, and you may run the transaction again.
    ///
    /// The closure runs again each time, so it must have no side effects outside the database that may not be repeated. Pauses between
    /// attempts are jittered, from 1 ms up to half a second.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Begins, runs `work`, and commits; rolls back if it fails or panics.
    ///
    /// A closure that ends in `Ok(..)` must name its error type, or the compiler reports E0283, "cannot satisfy `_: AsError<_>`":
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # use std::io::Error as MyError;
    /// # let pool = Pool::builder().build(Toy)?;
    /// pool.transaction().run(|tx| -> Result<(), MyError> {
    ///     tx.execute("DELETE FROM carts")?;
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`TransactionError`].
    #[track_caller]
    pub fn run<T, E, K>(
        self,
        work: impl FnMut(&mut M::Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, TransactionError<M::Error, E>>
    where
        E: AsError<K>,
    {
        let call_site = Location::caller();
        self.run_at(call_site, work)
    }

    fn run_at<T, E, K>(
        self,
        call_site: &'static Location<'static>,
        work: impl FnMut(&mut M::Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, TransactionError<M::Error, E>>
    where
        E: AsError<K>,
    {
        let mut conn = self.pool.get_at(call_site).map_err(TransactionError::Get)?;
        attempt(&mut conn, &self.options, self.retries, work)
    }

    /// Like [`run`](Self::run), for a task: waits for a connection without a thread, then runs `work` on a thread where it may block, as
    /// [`Pool::run_async`] does.
    ///
    /// # Errors
    ///
    /// See [`TransactionError`].
    #[track_caller]
    pub fn run_async<T, E, K>(
        self,
        work: impl FnMut(&mut M::Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> RunAsync<M, Result<T, TransactionError<M::Error, E>>>
    where
        T: Send + 'static,
        E: AsError<K> + Send + 'static,
        M::Options: 'static,
    {
        let Self { pool, options, retries } = self;
        pool.run_async_at(Location::caller(), move |conn| attempt(conn, &options, retries, work))
    }
}

/// Attempts until one succeeds or fails for good.
fn attempt<M: Transact, T, E: AsError<K>, K>(
    conn: &mut PooledConnection<M>,
    options: &M::Options,
    retries: u32,
    mut work: impl FnMut(&mut M::Transaction<'_>) -> Result<T, E>,
) -> Result<T, TransactionError<M::Error, E>> {
    let mut tried_again = 0;
    loop {
        let (error, fault) = match attempt_once(conn, options, &mut work) {
            Ok(value) => return Ok(value),
            Err(failed) => failed,
        };
        if fault != Fault::Retry || tried_again == retries {
            return Err(error);
        }
        tried_again += 1;
        let most = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(tried_again)).min(LONGEST_PAUSE);
        sync::pause(most.mul_f64(fastrand::f64()));
    }
}

/// One attempt. An error comes with its meaning for the next attempt.
fn attempt_once<M: Transact, T, E: AsError<K>, K>(
    conn: &mut PooledConnection<M>,
    options: &M::Options,
    work: &mut impl FnMut(&mut M::Transaction<'_>) -> Result<T, E>,
) -> Result<T, (TransactionError<M::Error, E>, Fault)> {
    match begin_work_end(conn, options, work) {
        Ok(value) => Ok(value),
        Err((error, rolled_back)) => {
            let (error, rolled_back) = match error {
                // Some managers detect it only when they begin.
                TransactionError::Begin(_) if is_in_transaction(conn) => (TransactionError::InTransaction, false),
                error => (error, rolled_back),
            };
            let fault = match &error {
                // The last two do not occur here.
                TransactionError::Get(_)
                | TransactionError::InTransaction
                | TransactionError::Panicked(_)
                | TransactionError::NotRun => Fault::Statement,
                TransactionError::Begin(driver)
                | TransactionError::Commit(driver)
                | TransactionError::Unknown(driver) => PooledConnection::report_error(conn, driver),
                TransactionError::User(user) => PooledConnection::report_any(conn, user.head()),
            };
            if !rolled_back {
                conn.condemn();
                return Err((error, Fault::Fatal));
            }
            match error {
                // Unless the server itself reported that the commit failed, its outcome is unknown.
                TransactionError::Commit(driver)
                    if !matches!(fault, Fault::Statement | Fault::Retry | Fault::WrongRole) =>
                {
                    Err((TransactionError::Unknown(driver), fault))
                }
                error => Err((error, fault)),
            }
        }
    }
}

/// The transaction itself. An error comes with whether the driver considers the transaction fully undone.
fn begin_work_end<M: Transact, T, E: AsError<K>, K>(
    conn: &mut PooledConnection<M>,
    options: &M::Options,
    work: &mut impl FnMut(&mut M::Transaction<'_>) -> Result<T, E>,
) -> Result<T, (TransactionError<M::Error, E>, bool)> {
    if is_in_transaction(conn) {
        // Engines differ: one refuses to begin, one warns and goes on, one commits the open transaction.
        return Err((TransactionError::InTransaction, false));
    }
    let (manager, conn) = conn.parts();
    let mut transaction = manager.begin(conn, options).map_err(|error| (TransactionError::Begin(error), true))?;
    match work(&mut transaction) {
        Ok(value) => match manager.commit(transaction) {
            Ok(()) => Ok(value),
            Err(error) => Err((TransactionError::Commit(error), true)),
        },
        Err(error) => {
            let rolled_back = manager.rollback(transaction).is_ok();
            Err((TransactionError::User(UserError::new(error)), rolled_back))
        }
    }
}

fn is_in_transaction<M: Transact>(conn: &mut PooledConnection<M>) -> bool {
    let (manager, conn) = conn.parts();
    manager.session(conn) == SessionState::InTransaction
}

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
