//! What a pool tells while it works: [`EventHandler`], and its events.

use crate::error::{Holder, Report};
use crate::reason::CloseReason;
use std::error::Error;
use std::time::Duration;

/// Receives what happens in a pool. Every method has an empty default; implement what you need.
///
/// Called without the pool's lock, in the thread where the thing happened: a caller's thread for `checked_out`, `checked_in`,
/// `timed_out` and `overloaded`, for `closed` when a connection is detached, and for `reset` where an engine in this process is
/// reset in the returning thread; a worker for the rest. A panic in a handler is swallowed. A handler must not block: `checked_out` and
/// `checked_in` are on the way of every loan, and a handler that holds up a worker holds up those who wait for it.
#[doc(alias = "HandleEvent")]
#[doc(alias = "HandleError")]
pub trait EventHandler: Send + Sync + 'static {
    /// A connection was opened.
    fn opened(&self, event: &Opened<'_>) {
        let _ = event;
    }
    /// An attempt to connect failed.
    fn open_failed(&self, event: &OpenFailed<'_>) {
        let _ = event;
    }
    /// A loan began.
    fn checked_out(&self, event: &CheckedOut<'_>) {
        let _ = event;
    }
    /// A loan ended.
    fn checked_in(&self, event: &CheckedIn<'_>) {
        let _ = event;
    }
    /// A request ran out of time.
    fn timed_out(&self, report: &Report) {
        let _ = report;
    }
    /// A request was refused because `max_waiters` others wait.
    fn overloaded(&self, report: &Report) {
        let _ = report;
    }
    /// A check ended.
    fn checked(&self, event: &CallEnded<'_>) {
        let _ = event;
    }
    /// A reset ended.
    fn reset(&self, event: &CallEnded<'_>) {
        let _ = event;
    }
    /// A connection left the pool.
    fn closed(&self, event: &ConnectionClosed<'_>) {
        let _ = event;
    }
    /// A loan has lasted longer than `leak_after`. Told once per loan.
    fn leaked(&self, pool: &str, holder: &Holder) {
        let _ = (pool, holder);
    }
}

/// See [`EventHandler::opened`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// The connection's number in this pool.
    pub id: u64,
    /// How long it took.
    pub took: Duration,
}

/// See [`EventHandler::open_failed`].
#[derive(Debug)]
#[non_exhaustive]
pub struct OpenFailed<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// What went wrong.
    pub error: &'a (dyn Error + 'static),
    /// How long the attempt took.
    pub took: Duration,
}

/// See [`EventHandler::checked_out`].
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckedOut<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// The connection's number in this pool.
    pub id: u64,
    /// How long the borrower waited.
    pub waited: Duration,
}

/// See [`EventHandler::checked_in`].
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckedIn<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// The connection's number in this pool.
    pub id: u64,
    /// How long the connection was lent.
    pub used: Duration,
}

/// See [`EventHandler::checked`] and [`EventHandler::reset`].
#[derive(Debug)]
#[non_exhaustive]
pub struct CallEnded<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// The connection's number in this pool.
    pub id: u64,
    /// How long the call took.
    pub took: Duration,
    /// Why it failed, if it did.
    pub error: Option<&'a (dyn Error + 'static)>,
}

/// See [`EventHandler::closed`].
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectionClosed<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// The connection's number in this pool.
    pub id: u64,
    /// Why it was closed.
    pub reason: CloseReason,
    /// How old it was.
    pub age: Duration,
    /// How often it was lent.
    pub uses: u64,
}
