//! Why a connection could not be opened, checked or set up: the driver's error, or the pool's own finding.

use crate::figures::whole;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why no connection could be opened. All requests that fail share it; a clone only increments a count.
///
/// It is an error itself. The driver's error, if there is one, is among the sources of a [`GetError`](crate::GetError) or a
/// [`BuildError`](crate::BuildError), where `downcast_ref` finds it.
///
/// ```
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Away;
/// use cabrank::{BuildError, Cause};
/// use std::error::Error;
/// use std::io;
/// use std::time::Duration;
///
/// # let manager = Away;
/// // This manager's server is down.
/// let error = Pool::builder().build_timeout(Duration::from_millis(100)).build(manager).unwrap_err();
/// assert!(error.source().is_some_and(|source| source.is::<io::Error>()));
/// match error {
///     BuildError::Connect(Cause::Driver(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused),
///     other => panic!("{other:?}"),
/// }
/// ```
#[non_exhaustive]
pub enum Cause<E> {
    /// The driver's error, from [`Manager::connect`](crate::Manager::connect), from `on_open` or from
    /// [`Manager::check_set_up`](crate::Manager::check_set_up).
    Driver(Arc<E>),
    /// The manager, `on_open` or `on_checkout` panicked. The text names which, and has the panic's message.
    Panicked(Arc<str>),
    /// The manager or `on_open` left a transaction open.
    InTransaction,
    /// The last connections were opened, but failed their first check or reset.
    Failed {
        /// "a new connection failed its check", or "its reset".
        what: &'static str,
        /// The driver's error, which is the source.
        error: Arc<E>,
    },
    /// The attempt failed without an error: it took too long, the connection was dead on arrival or soon after, or `on_checkout` refused
    /// it.
    Other(Arc<str>),
}

impl<E> Cause<E> {
    /// Returns the driver's error, if there is one.
    pub fn driver(&self) -> Option<&E> {
        match self {
            Self::Driver(error) | Self::Failed { error, .. } => Some(error),
            _ => None,
        }
    }

    pub(crate) fn other(text: impl Into<Arc<str>>) -> Self {
        Self::Other(text.into())
    }

    /// A panic of `who`, with this message.
    pub(crate) fn panicked(who: &str, message: &str) -> Self {
        Self::Panicked(format!("{who}: {message}").into())
    }

    /// The cause of `what`, which happened to a new connection.
    pub(crate) fn of_young(self, what: &'static str) -> Self {
        match self {
            Self::Driver(error) => Self::Failed { what, error },
            Self::Panicked(text) => Self::panicked(what, &text),
            Self::Other(text) => Self::other(format!("{what}: {text}")),
            as_it_is => as_it_is,
        }
    }

    /// A connection attempt was given up after `limit`.
    pub(crate) fn connect_overran(limit: Duration) -> Self {
        Self::other(format!("connecting took longer than {:?}", whole(limit)))
    }
}

impl<E: Error + 'static> Cause<E> {
    /// Returns the driver's error itself, or else this.
    pub fn as_error(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Driver(error) => &**error,
            _ => self,
        }
    }
}

impl<E: Error + Send + Sync + 'static> Cause<E> {
    /// The driver's error itself, or else this, for storage where the driver's type is unknown.
    pub(crate) fn to_error(&self) -> Arc<dyn Error + Send + Sync> {
        match self {
            Self::Driver(error) => Arc::clone(error) as _,
            _ => Arc::new(self.clone()),
        }
    }
}

impl<E> Clone for Cause<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Driver(error) => Self::Driver(Arc::clone(error)),
            Self::Panicked(text) => Self::Panicked(Arc::clone(text)),
            Self::InTransaction => Self::InTransaction,
            Self::Failed { what, error } => Self::Failed { what, error: Arc::clone(error) },
            Self::Other(text) => Self::Other(Arc::clone(text)),
        }
    }
}

impl<E: Error> fmt::Display for Cause<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(error) => error.fmt(f),
            Self::Panicked(text) | Self::Other(text) => f.write_str(text),
            Self::Failed { what, .. } => f.write_str(what),
            Self::InTransaction => f.write_str(
                "the set-up of the session (`on_open`, or the manager's own) left a transaction open: commit it there, or begin it in \
                 the loan",
            ),
        }
    }
}

/// The text of `Display`, and those of the sources.
impl<E: Error + 'static> fmt::Debug for Cause<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Chain(self), f)
    }
}

/// [`Driver`](Self::Driver) behaves like the driver's error itself.
impl<E: Error + 'static> Error for Cause<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Driver(error) => error.source(),
            Self::Failed { error, .. } => Some(error.as_ref()),
            _ => None,
        }
    }
}

/// An error with all its sources. Some drivers' errors read only "db error" without them.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        f.write_str(&told)?;
        let mut behind = self.0.source();
        while let Some(error) = behind {
            let text = error.to_string();
            // Other errors repeat their source in their own text.
            if !told.contains(&text) {
                write!(f, ": {text}")?;
                told = text;
            }
            behind = error.source();
        }
        Ok(())
    }
}
