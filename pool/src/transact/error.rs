//! The errors of closures, and how to find the driver's error in them.
//!
//! As in `error.rs`, a text does not repeat its source, and `Debug` has both.

use crate::cause::Chain;
use crate::error::GetError;
use std::error::Error;
use std::fmt;
use std::ops::Deref;

/// Why [`Pool::run`](crate::Pool::run) failed.
///
/// `source` leads to the closure's error, and to the driver's. `Display` omits their texts; `Debug` has all of them.
#[non_exhaustive]
pub enum RunError<D, E> {
    /// No connection was available.
    Get(GetError<D>),
    /// The closure's own error.
    User(UserError<E>),
    /// The closure of [`run_async`](crate::Pool::run_async) panicked, with this message. Its connection is closed.
    Panicked(String),
    /// The closure of [`run_async`](crate::Pool::run_async) was dropped before it ran, because the executor of
    /// [`run_on`](crate::Builder::run_on) no longer runs work. Nothing was done.
    NotRun,
}

/// Why a transaction failed.
///
/// `source` leads to the closure's error, and to the driver's. `Display` omits their texts; `Debug` has all of them.
#[non_exhaustive]
pub enum TransactionError<D, E> {
    /// No connection was available. Nothing was done.
    Get(GetError<D>),
    /// The transaction could not begin. Nothing was done.
    Begin(D),
    /// A transaction was open already, left by an earlier holder of the connection: nothing was done, and the connection is closed. Only
    /// possible with [`SessionPolicy::Never`](crate::SessionPolicy::Never), which never ends it, or with a hook that begins one.
    InTransaction,
    /// The closure's own error. The transaction was rolled back.
    User(UserError<E>),
    /// The commit failed: nothing was done.
    Commit(D),
    /// The connection was lost during the commit, which may or may not have taken effect. Never retried.
    Unknown(D),
    /// The closure of [`run_async`](crate::Transaction::run_async) panicked, with this message. The transaction was rolled back, unless
    /// the panic came from the driver's own commit.
    Panicked(String),
    /// The closure of [`run_async`](crate::Transaction::run_async) was dropped before it ran. Nothing was done.
    NotRun,
}

/// A closure's error. Derefs to it; [`into_inner`](Self::into_inner) returns it.
///
/// Stores how to reach its chain of sources, for any type of a closure's error.
pub struct UserError<E> {
    error: E,
    head: fn(&E) -> &(dyn Error + 'static),
}

impl<E> UserError<E> {
    pub(crate) fn new<K>(error: E) -> Self
    where
        E: AsError<K>,
    {
        Self { error, head: E::as_error }
    }

    /// Returns the error that the closure returned.
    pub fn into_inner(self) -> E {
        self.error
    }

    pub(super) fn head(&self) -> &(dyn Error + 'static) {
        (self.head)(&self.error)
    }
}

impl<E> Deref for UserError<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.error
    }
}

impl<E> fmt::Debug for UserError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.head(), f)
    }
}

impl<E> fmt::Display for UserError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.head(), f)
    }
}

impl<D, E> fmt::Display for RunError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(error) => error.fmt(f),
            Self::User(_) => f.write_str("the closure failed"),
            Self::Panicked(message) => write!(f, "the closure panicked: {message}"),
            Self::NotRun => f.write_str("the closure was dropped before it ran: its executor has probably shut down"),
        }
    }
}

impl<D: Error + 'static, E> Error for RunError<D, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Get(error) => error.source(),
            Self::User(error) => Some(error.head()),
            Self::Panicked(_) | Self::NotRun => None,
        }
    }
}

/// The text of `Display`, and those of the sources.
impl<D: Error + 'static, E> fmt::Debug for RunError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Chain(self), f)
    }
}

impl<D, E> fmt::Display for TransactionError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(error) => error.fmt(f),
            Self::Begin(_) => f.write_str("the transaction could not begin"),
            Self::InTransaction => {
                f.write_str("a transaction is already open: an earlier holder or a hook did not end it")
            }
            Self::User(_) => f.write_str("the closure failed, and its transaction was rolled back"),
            Self::Commit(_) => f.write_str("the transaction could not commit"),
            Self::Unknown(_) => {
                f.write_str("the connection was lost during the commit, which may or may not have taken effect")
            }
            Self::Panicked(message) => write!(f, "the closure panicked: {message}"),
            Self::NotRun => f.write_str("the closure was dropped before it ran: its executor has probably shut down"),
        }
    }
}

impl<D: Error + 'static, E> Error for TransactionError<D, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Get(error) => error.source(),
            Self::Begin(error) | Self::Commit(error) | Self::Unknown(error) => Some(error),
            Self::InTransaction | Self::Panicked(_) | Self::NotRun => None,
            Self::User(error) => Some(error.head()),
        }
    }
}

/// The text of `Display`, and those of the sources.
impl<D: Error + 'static, E> fmt::Debug for TransactionError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Chain(self), f)
    }
}

/// An error that the pool can search for the driver's: any `std::error::Error`, `Box<dyn Error + Send + Sync>`, `anyhow::Error`,
/// `Box<dyn Error>`. `K` distinguishes these kinds; it is always inferred.
///
/// If the compiler "cannot satisfy `_: AsError<_>`" (E0283), name the closure's error type: `|conn| -> Result<_, MyError> { .. }`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an error that the pool can search for the driver's",
    label = "expected a `std::error::Error`, an `anyhow::Error` or a `Box<dyn Error>`",
    note = "write `impl std::error::Error for {Self}`, or derive it"
)]
pub trait AsError<K> {
    /// Returns the error at the head of the chain.
    fn as_error(&self) -> &(dyn Error + 'static);
}

/// The kinds of error that [`AsError`] distinguishes.
#[doc(hidden)]
pub mod kind {
    /// A type that is an error.
    #[derive(Debug)]
    pub enum Own {}
    /// A type that holds any error that may move between threads.
    #[derive(Debug)]
    pub enum Sendable {}
    /// A box with any error.
    #[derive(Debug)]
    pub enum Boxed {}
}

impl<E: Error + 'static> AsError<kind::Own> for E {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl<E: AsRef<dyn Error + Send + Sync + 'static>> AsError<kind::Sendable> for E {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self.as_ref()
    }
}

impl AsError<kind::Boxed> for Box<dyn Error> {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self.as_ref()
    }
}
