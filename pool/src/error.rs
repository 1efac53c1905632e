//! The pool's errors, with texts that help during an outage.
//!
//! The text of an error with a source does not repeat the source. `Debug` has both in one sentence.

use crate::cause::{Cause, Chain};
use crate::config::ConfigError;
use crate::figures::Span;
use crate::report::{OfBuild, Report, Sourced};
use std::error::Error;
use std::fmt;

/// Why a request got no connection.
///
/// If connecting fails, `source` leads to the driver's error, or is a [`Cause`] if there is none. `Display` does not repeat the source.
/// `Debug`, and so `unwrap`, has both in one sentence, as has `{:#}` of an `anyhow::Error`.
///
/// ```
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
/// # use cabrank::GetError;
/// # use std::time::Duration;
/// # let manager = Toy;
/// let pool = Pool::builder().max_size(1).build(manager)?;
/// let conn = pool.get()?;
/// let status = match pool.get_timeout(Duration::from_millis(20)) {
///     Ok(_) => 200,
///     Err(GetError::Timeout(report) | GetError::Overloaded(report)) => {
///         eprintln!("{report}"); // Names the code that holds the connections.
///         503
///     }
///     Err(_) => 500,
/// };
/// assert_eq!(status, 503);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub enum GetError<E> {
    /// The deadline passed. The report and the text list the holders of connections. The source is the last connect error since the last
    /// success ([`Report::last_connect_error`]), if there is one.
    Timeout(Box<Report>),
    /// No connection is open and none can be opened until the cause, such as a wrong password, is fixed. All waiters share the one cause.
    /// The pool retries on its own, 1 to 30 s after the last attempt.
    Connect(Cause<E>),
    /// `max_waiters` callers wait already. The report and the source are as for a time-out.
    Overloaded(Box<Report>),
    /// The pool is closed.
    Closed,
    /// Called by a hook, a manager's method or an event handler of the same pool, in a worker or in `on_checkout` or `on_return`: it
    /// would wait for itself.
    CalledFromHook,
    /// Called in a child of `fork` on a pool that was built in the parent, which owns the connections. There is no event. Build a pool in
    /// the child.
    Forked,
}

impl<E> GetError<E> {
    /// Returns whether the deadline passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Returns whether the pool is closed.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Returns the report of a time-out or of overload.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Timeout(report) | Self::Overloaded(report) => Some(report),
            _ => None,
        }
    }
}

impl<E> fmt::Display for GetError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(report) if Span(report.waited).is_nothing() => {
                write!(f, "no connection was ready: {}", Sourced(report))
            }
            Self::Timeout(report) => {
                write!(f, "no connection within {}: {}", Span(report.waited), Sourced(report))
            }
            Self::Connect(_) => f.write_str("cannot connect, and retrying will not help until the cause is fixed"),
            Self::Overloaded(report) => {
                write!(f, "too many requests are waiting for a connection (max_waiters): {}", Sourced(report))
            }
            Self::Closed => f.write_str("the pool is closed"),
            Self::CalledFromHook => f.write_str("a hook or manager method must not wait for its own pool"),
            Self::Forked => f.write_str(FORKED),
        }
    }
}

impl<E: Error + 'static> Error for GetError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect(cause) => Some(cause.as_error()),
            Self::Timeout(report) | Self::Overloaded(report) => report.source(),
            Self::Closed | Self::CalledFromHook | Self::Forked => None,
        }
    }
}

/// The text of `Display`, and those of the sources.
impl<E: Error + 'static> fmt::Debug for GetError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Chain(self), f)
    }
}

/// Why a pool was not built.
///
/// If connecting fails, `source` leads to the driver's error, or is a [`Cause`] if there is none. `Display` does not repeat the source.
/// `Debug`, and so `unwrap`, has both in one sentence.
#[non_exhaustive]
pub enum BuildError<E> {
    /// The settings break rules.
    Config(ConfigError),
    /// The first connection could not be opened. Returned at once if waiting cannot help, else after `build_timeout`.
    Connect(Cause<E>),
    /// No connection was open by `build_timeout`, and there is no driver error because attempts hung. The source, if there is one,
    /// describes how the last attempt ended.
    Timeout(Box<Report>),
}

impl<E> fmt::Display for BuildError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Connect(_) => f.write_str("the first connections could not be opened"),
            Self::Timeout(report) => {
                write!(f, "the first connections were not open within {}: {}", Span(report.waited), OfBuild(report))
            }
        }
    }
}

impl<E: Error + 'static> Error for BuildError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect(cause) => Some(cause.as_error()),
            Self::Timeout(report) => report.source(),
            Self::Config(_) => None,
        }
    }
}

/// For `?` between [`from_env`](crate::Builder::from_env) and [`build`](crate::Builder::build).
impl<E> From<ConfigError> for BuildError<E> {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

/// The text of `Display`, and those of the sources.
impl<E: Error + 'static> fmt::Debug for BuildError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Chain(self), f)
    }
}

/// Why a pool was not resized. Its sizes are unchanged.
#[non_exhaustive]
pub enum ResizeError {
    /// The sizes break rules.
    Config(ConfigError),
    /// The pool is closed.
    Closed,
    /// Called in a child of `fork` on a pool that was built in the parent.
    Forked,
}

impl fmt::Display for ResizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Closed => f.write_str("a closed pool cannot be resized"),
            Self::Forked => f.write_str(FORKED),
        }
    }
}

/// The text of `Display`.
impl fmt::Debug for ResizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ResizeError {}

const FORKED: &str = "the pool was built before this process was forked: build a new one in the child";
