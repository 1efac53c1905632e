//! Running a closure on a connection or in a transaction, so that the pool sees the errors.

use crate::error::GetError;
use crate::guard::PooledConnection;
use crate::manager::{Fault, Manager, Transact};
use crate::pool::Pool;
use crate::sync;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

impl<M: Manager> Pool<M> {
    /// Checks out a connection, runs `work` on it, and returns it. The driver's error is found wherever it is in the
    /// closure's error: itself, in the chain of sources of an enum, in `anyhow::Error` or `Box<dyn Error>`.
    ///
    /// # Errors
    ///
    /// [`RunError::Get`] if there is no connection, else the closure's own error.
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
            if let Some(driver) = driver_error::<M::Error>(error.as_error()) {
                PooledConnection::note(&mut conn, driver);
            }
            RunError::User(error)
        })
    }
}

impl<M: Transact> Pool<M> {
    /// Sets up a transaction on a connection of its own.
    ///
    /// ```ignore
    /// let sum = pool.transaction().retries(3).run(|tx| transfer(tx, from, to, 100))?;
    /// ```
    pub fn transaction(&self) -> Transaction<'_, M> {
        Transaction { pool: self, options: M::Options::default(), retries: 0 }
    }
}

/// A transaction to be run. See [`Pool::transaction`].
#[must_use = "a transaction does nothing until it is run"]
#[derive(Debug)]
pub struct Transaction<'p, M: Transact> {
    pool: &'p Pool<M>,
    options: M::Options,
    retries: u32,
}

impl<M: Transact> Transaction<'_, M> {
    /// The driver's own transaction options. Default: the driver's.
    pub fn options(mut self, options: M::Options) -> Self {
        self.options = options;
        self
    }

    /// How often the transaction is tried again after a serialization failure, a deadlock or their kin. Default: 0.
    ///
    /// The closure runs anew each time, so it must not do outside the database what may not be done twice. Pauses between
    /// attempts are jittered, from 1 ms up to half a second.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Begins, runs `work`, and commits; rolls back if it fails or panics.
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
        mut work: impl FnMut(&mut M::Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, TransactionError<M::Error, E>>
    where
        E: AsError<K>,
    {
        let mut conn = self.pool.get_at(call_site).map_err(TransactionError::Get)?;
        let mut attempt = 0;
        loop {
            let (error, fault) = match attempt_once(&mut conn, &self.options, &mut work) {
                Ok(value) => return Ok(value),
                Err(failed) => failed,
            };
            if fault != Fault::Retry || attempt == self.retries {
                return Err(error);
            }
            attempt += 1;
            let most = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(attempt)).min(LONGEST_PAUSE);
            sync::pause(most.mul_f64(fastrand::f64()));
        }
    }
}

/// One attempt. An error comes with what it means for the next attempt.
fn attempt_once<M: Transact, T, E: AsError<K>, K>(
    conn: &mut PooledConnection<M>,
    options: &M::Options,
    work: &mut impl FnMut(&mut M::Transaction<'_>) -> Result<T, E>,
) -> Result<T, (TransactionError<M::Error, E>, Fault)> {
    match begin_work_end(conn, options, work) {
        Ok(value) => Ok(value),
        Err((error, rolled_back)) => {
            let fault = match &error {
                TransactionError::Get(_) => Fault::Statement,
                TransactionError::Begin(driver)
                | TransactionError::Commit(driver)
                | TransactionError::Unknown(driver) => PooledConnection::note(conn, driver),
                TransactionError::User(user) => match driver_error::<M::Error>(user.as_error()) {
                    Some(driver) => PooledConnection::note(conn, driver),
                    None => Fault::Statement,
                },
            };
            if !rolled_back {
                conn.condemn();
                return Err((error, Fault::Fatal));
            }
            // The connection was lost during COMMIT: nobody knows on which side of it.
            match error {
                TransactionError::Commit(driver) if fault == Fault::Fatal => {
                    Err((TransactionError::Unknown(driver), fault))
                }
                error => Err((error, fault)),
            }
        }
    }
}

/// The transaction itself. An error comes with whether nothing is left of it, as far as the driver says.
fn begin_work_end<M: Transact, T, E>(
    conn: &mut PooledConnection<M>,
    options: &M::Options,
    work: &mut impl FnMut(&mut M::Transaction<'_>) -> Result<T, E>,
) -> Result<T, (TransactionError<M::Error, E>, bool)> {
    let (manager, conn) = conn.parts();
    let mut transaction = manager.begin(conn, options).map_err(|error| (TransactionError::Begin(error), true))?;
    match work(&mut transaction) {
        Ok(value) => match manager.commit(transaction) {
            Ok(()) => Ok(value),
            Err(error) => Err((TransactionError::Commit(error), true)),
        },
        Err(error) => {
            let rolled_back = manager.rollback(transaction).is_ok();
            Err((TransactionError::User(error), rolled_back))
        }
    }
}

/// Why [`Pool::run`] failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError<D, E> {
    /// There was no connection.
    Get(GetError<D>),
    /// The closure's own error.
    User(E),
}

/// Why a transaction failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransactionError<D, E> {
    /// There was no connection. Nothing was done.
    Get(GetError<D>),
    /// The transaction could not begin. Nothing was done.
    Begin(D),
    /// The closure's own error. The transaction was rolled back.
    User(E),
    /// The commit failed: nothing was done.
    Commit(D),
    /// The connection was lost during the commit: it may have been done, or not. Never tried again.
    Unknown(D),
}

impl<D: fmt::Display, E: fmt::Display> fmt::Display for RunError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(error) => error.fmt(f),
            Self::User(error) => error.fmt(f),
        }
    }
}

impl<D: Error + 'static, E: fmt::Debug + fmt::Display> Error for RunError<D, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Get(error) => error.source(),
            Self::User(_) => None,
        }
    }
}

impl<D: fmt::Display, E: fmt::Display> fmt::Display for TransactionError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(error) => error.fmt(f),
            Self::Begin(error) => write!(f, "the transaction could not begin: {error}"),
            Self::User(error) => error.fmt(f),
            Self::Commit(error) => write!(f, "the transaction could not commit: {error}"),
            Self::Unknown(error) => {
                write!(f, "the connection was lost during the commit, which may have been done or not: {error}")
            }
        }
    }
}

impl<D: Error + 'static, E: fmt::Debug + fmt::Display> Error for TransactionError<D, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Get(error) => error.source(),
            Self::Begin(error) | Self::Commit(error) | Self::Unknown(error) => Some(error),
            Self::User(_) => None,
        }
    }
}

/// An error in which the driver's own can be looked for: any `std::error::Error`, `Box<dyn Error + Send + Sync>`,
/// `anyhow::Error`, `Box<dyn Error>`. `K` tells these kinds apart; it is always inferred.
pub trait AsError<K> {
    /// The error at the head of the chain.
    fn as_error(&self) -> &(dyn Error + 'static);
}

/// The kinds of error that [`AsError`] tells apart.
pub mod kind {
    /// A type that is an error.
    #[derive(Debug)]
    pub enum Own {}
    /// A type that holds any error that may move between threads.
    #[derive(Debug)]
    pub enum Shared {}
    /// A box with any error.
    #[derive(Debug)]
    pub enum Boxed {}
}

impl<E: Error + 'static> AsError<kind::Own> for E {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl<E: AsRef<dyn Error + Send + Sync + 'static>> AsError<kind::Shared> for E {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self.as_ref()
    }
}

impl AsError<kind::Boxed> for Box<dyn Error> {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self.as_ref()
    }
}

/// The driver's error in the chain that begins with `error`.
fn driver_error<'a, D: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a D> {
    let mut link = Some(error);
    while let Some(error) = link {
        if let Some(driver) = error.downcast_ref::<D>() {
            return Some(driver);
        }
        link = error.source();
    }
    None
}

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
