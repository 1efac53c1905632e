//! Why a connection could not be opened, checked or set up: the driver's error, or what the pool itself saw.

use crate::figures::whole;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why no connection could be opened. All who are refused for it share it.
#[non_exhaustive]
pub enum Cause<E> {
    /// The driver's error, from [`Manager::connect`](crate::Manager::connect) or from `on_open`.
    Driver(Arc<E>),
    /// The manager or `on_open` panicked. Which of them, and the panic's message.
    Panicked(Arc<str>),
    /// The manager or `on_open` left a transaction open.
    InTransaction,
    /// The attempt came to nothing without an error: it took too long, or the connection was dead on arrival.
    Other(Arc<str>),
}

impl<E> Cause<E> {
    /// The driver's error, if there is one.
    pub fn driver(&self) -> Option<&E> {
        match self {
            Self::Driver(error) => Some(error),
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

    /// An attempt to connect was given up after `limit`.
    pub(crate) fn connect_overran(limit: Duration) -> Self {
        Self::other(format!("connecting took longer than {:?}", whole(limit)))
    }
}

impl<E: Error + 'static> Cause<E> {
    /// The driver's error itself, or else this.
    pub fn as_error(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Driver(error) => &**error,
            _ => self,
        }
    }
}

impl<E: Error + Send + Sync + 'static> Cause<E> {
    /// The driver's error itself, or else this, to be kept where the driver's type is unknown.
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
            Self::Other(text) => Self::Other(Arc::clone(text)),
        }
    }
}

impl<E: Error> fmt::Display for Cause<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(error) => error.fmt(f),
            Self::Panicked(text) | Self::Other(text) => f.write_str(text),
            Self::InTransaction => f.write_str(
                "the set-up of the session (`on_open`, or the manager's own) left a transaction open: commit it there, or begin it in \
                 the loan",
            ),
        }
    }
}

/// The sentence of `Display`, and those of the sources.
impl<E: Error> fmt::Debug for Cause<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Chain(self), f)
    }
}

/// As the driver's error, where there is one.
impl<E: Error> Error for Cause<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Driver(error) => error.source(),
            _ => None,
        }
    }
}

/// An error with all that lies behind it. Some drivers say no more than "db error" by themselves.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        f.write_str(&told)?;
        let mut behind = self.0.source();
        while let Some(error) = behind {
            let text = error.to_string();
            // Others repeat in their own text what lies behind.
            if !told.contains(&text) {
                write!(f, ": {text}")?;
                told = text;
            }
            behind = error.source();
        }
        Ok(())
    }
}
