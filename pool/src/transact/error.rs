//! The errors of closures, and the way to the driver's error in them.

use crate::error::{Chain, GetError};
use std::error::Error;
use std::fmt;
use std::ops::Deref;

/// Why [`Pool::run`](crate::Pool::run) failed.
#[non_exhaustive]
pub enum RunError<D, E> {
    /// There was no connection.
    Get(GetError<D>),
    /// The closure's own error.
    User(UserError<E>),
}

/// Why a transaction failed.
#[non_exhaustive]
pub enum TransactionError<D, E> {
    /// There was no connection. Nothing was done.
    Get(GetError<D>),
    /// The transaction could not begin. Nothing was done.
    Begin(D),
    /// The closure's own error. The transaction was rolled back.
    User(UserError<E>),
    /// The commit failed: nothing was done.
    Commit(D),
    /// The connection was lost during the commit: it may have been done, or not. Never tried again.
    Unknown(D),
}

/// A closure's error. Derefs to it; [`into_inner`](Self::into_inner) is the error itself.
///
/// Keeps the way into its chain of sources, so that the errors of this module can tell it, whatever the closure's type.
pub struct UserError<E> {
    error: E,
    head: fn(&E) -> &(dyn Error + 'static),
}

impl<E> UserError<E> {
    pub(super) fn new<K>(error: E) -> Self
    where
        E: AsError<K>,
    {
        Self { error, head: E::as_error }
    }

    /// The error that the closure returned.
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

impl<D: fmt::Debug, E> fmt::Debug for RunError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(error) => f.debug_tuple("Get").field(error).finish(),
            Self::User(error) => f.debug_tuple("User").field(error).finish(),
        }
    }
}

impl<D: Error + 'static, E> fmt::Display for RunError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(error) => error.fmt(f),
            Self::User(error) => error.fmt(f),
        }
    }
}

/// The text tells the closure's error, so the chain goes on with what lies behind that. A driver's error is told whole.
impl<D: Error + 'static, E> Error for RunError<D, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Get(_) => None,
            Self::User(error) => error.head().source(),
        }
    }
}

impl<D: fmt::Debug, E> fmt::Debug for TransactionError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(error) => f.debug_tuple("Get").field(error).finish(),
            Self::Begin(error) => f.debug_tuple("Begin").field(error).finish(),
            Self::User(error) => f.debug_tuple("User").field(error).finish(),
            Self::Commit(error) => f.debug_tuple("Commit").field(error).finish(),
            Self::Unknown(error) => f.debug_tuple("Unknown").field(error).finish(),
        }
    }
}

impl<D: Error + 'static, E> fmt::Display for TransactionError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(error) => error.fmt(f),
            Self::Begin(error) => write!(f, "the transaction could not begin: {}", Chain(error)),
            Self::User(error) => error.fmt(f),
            Self::Commit(error) => write!(f, "the transaction could not commit: {}", Chain(error)),
            Self::Unknown(error) => {
                let error = Chain(error);
                write!(f, "the connection was lost during the commit, which may have been done or not: {error}")
            }
        }
    }
}

/// The text tells the closure's error, so the chain goes on with what lies behind that. A driver's error is told whole.
impl<D: Error + 'static, E> Error for TransactionError<D, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::User(error) => error.head().source(),
            _ => None,
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
