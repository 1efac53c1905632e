//! The events of a pool, and their receiver: [`EventHandler`].

use crate::reason::{CloseReason, RefusalReason};
use crate::report::{Holder, Report};
use std::error::Error;
use std::time::Duration;

/// Receives what happens in a pool. Every method has an empty default; implement what you need.
///
/// Called without the pool's lock, in the thread where the thing happened: a caller's thread for `checked_out`, `checked_in`,
/// `timed_out`, `overloaded` and `refused`, for `closed` when a connection is detached, and for `reset` where an engine in this
/// process is reset in the returning thread; a worker for the rest, never the timer, and for `checked_in` when the returning thread
/// panics. A panic in a handler is swallowed. A handler must not block: `checked_out` and `checked_in` are on the way of every loan,
/// and a handler that holds up a worker holds up those who wait for its connection. It may use other pools, and of its own all that
/// does not wait: [`get`](crate::Pool::get) in a worker of this pool is refused.
///
/// # Order
///
/// Each request for a connection ends in exactly one of `checked_out`, `timed_out`, `overloaded` and `refused`, as it does in one of
/// the counters of [`Stats`](crate::Stats). With one exception: a request that one of the last three makes of its own pool, and that
/// gets no connection either, ends in a counter alone.
///
/// The events of one connection come in the order of its life: `opened` before its first `checked_out`, `checked_in` before its next
/// `checked_out`, `closed` after all others and before its slot is free for the next `opened`. Of a connection that the pool aborts
/// within a call, or at the end within a loan, `closed` comes when the call has returned or the loan has ended, and its slot is free
/// before that: until then it is counted as `aborted`. So a handler that counts, up at `opened` and `checked_out`, down at `closed` and
/// `checked_in`, agrees with [`stats`](crate::Pool::stats) whenever nothing is under way.
#[doc(alias = "HandleEvent")]
#[doc(alias = "HandleError")]
pub trait EventHandler: Send + Sync + 'static {
    /// A connection was opened.
    fn opened(&self, event: &Opened<'_>) {
        let _ = event;
    }
    /// An attempt to connect failed, or was given up: then the event comes at once, not when the attempt returns.
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
    /// A request ran out of time. If this handler asks the same pool for a connection and gets none, that is counted, and makes no
    /// event.
    fn timed_out(&self, report: &Report) {
        let _ = report;
    }
    /// A request was refused because `max_waiters` others wait. If this handler asks the same pool for a connection and gets none,
    /// that is counted, and makes no event.
    fn overloaded(&self, report: &Report) {
        let _ = report;
    }
    /// A request was refused for another reason. If this handler asks the same pool for a connection and gets none, that is
    /// counted, and makes no event.
    ///
    /// ```
    /// # use cabrank::{Limit, Manager, Pool};
    /// use cabrank::{EventHandler, RefusalReason, Refused};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// # struct Toy;
    /// # impl Manager for Toy {
    /// #     type Connection = i64;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self, _: &Limit) -> std::io::Result<i64> { Ok(0) }
    /// #     fn is_valid(&self, _: &mut i64, _: &Limit) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut i64) -> bool { false }
    /// # }
    /// /// A counter for each reason.
    /// #[derive(Default)]
    /// struct Refusals([AtomicU64; RefusalReason::ALL.len()]);
    ///
    /// impl Refusals {
    ///     fn by(&self, reason: RefusalReason) -> u64 {
    ///         self.0[reason as usize].load(Ordering::Relaxed)
    ///     }
    /// }
    ///
    /// impl EventHandler for Refusals {
    ///     fn refused(&self, event: &Refused<'_>) {
    ///         self.0[event.reason as usize].fetch_add(1, Ordering::Relaxed);
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let refusals = Arc::new(Refusals::default());
    /// let pool = Pool::builder().event_handler(refusals.clone()).build(Toy)?;
    /// pool.close();
    /// assert!(pool.get().is_err());
    /// for &reason in RefusalReason::ALL {
    ///     println!("refused_{reason}_total {}", refusals.by(reason));
    /// }
    /// assert_eq!(refusals.by(RefusalReason::Closed), 1);
    /// # Ok(())
    /// # }
    /// ```
    fn refused(&self, event: &Refused<'_>) {
        let _ = event;
    }
    /// A manager has something to say of a connection's server ([`Manager::remark`](crate::Manager::remark)) that may explain errors
    /// of its holders. Once for each connection, as long as there is something to say.
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
    /// A loan has lasted longer than `leak_after`. Once for each loan.
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

/// See [`EventHandler::remarked`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Remarked<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// The connection's number in this pool.
    pub id: u64,
    /// What there is to say.
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

/// See [`EventHandler::refused`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Refused<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// Why.
    pub reason: RefusalReason,
    /// How long the borrower waited.
    pub waited: Duration,
    /// For [`RefusalReason::Connect`]: why connecting fails.
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
