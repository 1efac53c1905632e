//! The events of a pool, and their receiver: [`EventHandler`].

use crate::reason::{CloseReason, RefusalReason};
use crate::report::{Holder, Report};
use std::error::Error;
use std::time::Duration;

/// Receives a pool's events. Every method has an empty default; implement what you need.
///
/// The pool calls these methods without its lock, in the thread of the event. `checked_out`, `checked_in`, `timed_out`, `overloaded` and
/// `refused` run in the caller's thread, as does `closed` when a connection is detached, and `reset` when the returning thread resets a
/// session of an engine in this process. All others run in a worker, never in the timer; so does `checked_in` when the returning thread
/// panics. A panic in a handler is swallowed.
///
/// A handler must not block: `checked_out` and `checked_in` delay every loan, and a slow handler on a worker delays the callers that wait
/// for its connection. A handler may use other pools, and any operation of its own pool that does not wait: [`get`](crate::Pool::get) in a
/// worker of this pool is refused.
///
/// ```
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
/// # use cabrank::{ConnectionClosed, EventHandler, Opened};
/// # use std::sync::Arc;
/// # use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
/// # let manager = Toy;
/// struct Open(AtomicI64);
///
/// impl EventHandler for Open {
///     fn opened(&self, _: &Opened<'_>) {
///         self.0.fetch_add(1, Relaxed);
///     }
///     fn closed(&self, _: &ConnectionClosed<'_>) {
///         self.0.fetch_sub(1, Relaxed);
///     }
/// }
///
/// let open = Arc::new(Open(AtomicI64::new(0)));
/// let pool = Pool::builder().event_handler(open.clone()).build(manager)?;
/// # drop(pool.get()?);
/// assert_eq!(open.0.load(Relaxed), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Order
///
/// Each request for a connection ends in exactly one of `checked_out`, `timed_out`, `overloaded` and `refused`, and in exactly one of the
/// counters of [`Stats`](crate::Stats). The one exception is a request that a handler of the last three makes to its own pool: if it gets
/// no connection either, it ends in a counter alone.
///
/// The events of one connection come in order: `opened` before its first `checked_out`, `checked_in` before its next `checked_out`,
/// `closed` after all others and before its slot is free for the next `opened`. If the pool aborts a connection within a call, or within
/// a loan at shutdown, `closed` comes when the call returns or the loan ends; its slot is free before that, and the connection counts as
/// `aborted` in between. A handler that counts up at `opened` and `checked_out`, and down at `closed` and `checked_in`, agrees with
/// [`stats`](crate::Pool::stats) whenever nothing is under way.
#[doc(alias = "HandleEvent")]
#[doc(alias = "HandleError")]
pub trait EventHandler: Send + Sync + 'static {
    /// A connection was opened.
    fn opened(&self, event: &Opened<'_>) {
        let _ = event;
    }
    /// A connection attempt failed, or was given up. In the latter case the event comes at once, not when the attempt returns.
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
    /// A request timed out. If this handler asks the same pool for a connection and gets none, that request is counted without an event.
    fn timed_out(&self, report: &Report) {
        let _ = report;
    }
    /// A request was refused because of `max_waiters`. If this handler asks the same pool for a connection and gets none, that request is
    /// counted without an event.
    fn overloaded(&self, report: &Report) {
        let _ = report;
    }
    /// A request was refused for another reason. If this handler asks the same pool for a connection and gets none, that request is
    /// counted without an event.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # use std::sync::Arc;
    /// # use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    /// use cabrank::{EventHandler, RefusalReason, Refused};
    ///
    /// # let manager = Toy;
    /// # #[derive(Default)]
    /// struct Refusals([AtomicU64; RefusalReason::ALL.len()]);
    ///
    /// impl EventHandler for Refusals {
    ///     fn refused(&self, event: &Refused<'_>) {
    ///         self.0[event.reason as usize].fetch_add(1, Relaxed);
    ///     }
    /// }
    ///
    /// let refusals = Arc::new(Refusals::default());
    /// let pool = Pool::builder().event_handler(refusals.clone()).build(manager)?;
    /// pool.close();
    /// assert!(pool.get().is_err());
    /// assert_eq!(refusals.0[RefusalReason::Closed as usize].load(Relaxed), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn refused(&self, event: &Refused<'_>) {
        let _ = event;
    }
    /// The manager has a remark on a connection's server ([`Manager::remark`](crate::Manager::remark)) that may explain errors of its
    /// holders. Emitted once per connection, until a later inquiry returns no remark.
    fn remarked(&self, event: &Remarked<'_>) {
        let _ = event;
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
    /// A loan has lasted longer than `leak_after`. Emitted once for each loan.
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
    /// How long opening took.
    pub took: Duration,
}

/// See [`EventHandler::open_failed`].
#[derive(Debug)]
#[non_exhaustive]
pub struct OpenFailed<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// Why the attempt failed.
    pub error: &'a (dyn Error + 'static),
    /// How long the attempt took.
    pub took: Duration,
}

/// See [`EventHandler::remarked`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Remarked<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// The connection's number in this pool.
    pub id: u64,
    /// The manager's remark.
    pub remark: &'a str,
}

/// See [`EventHandler::checked_out`].
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckedOut<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// The connection's number in this pool.
    pub id: u64,
    /// How long the caller waited.
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
    /// How long the loan lasted.
    pub used: Duration,
}

/// See [`EventHandler::refused`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Refused<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// The reason.
    pub reason: RefusalReason,
    /// How long the caller waited.
    pub waited: Duration,
    /// For [`RefusalReason::Connect`]: the connect error.
    pub error: Option<&'a (dyn Error + 'static)>,
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
    /// The error, if the call failed.
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
    /// The reason.
    pub reason: CloseReason,
    /// The connection's age.
    pub age: Duration,
    /// The number of its loans.
    pub uses: u64,
}
