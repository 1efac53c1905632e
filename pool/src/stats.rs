//! The statistics of a pool at one moment.

use crate::histogram::Histogram;
use crate::reason::CloseReason;
use std::fmt;

/// The statistics of a pool at one moment. They are consistent: each loan that has begun is either out or ended. Under load `use_time`
/// may already include a loan that `returned` does not.
///
/// ```
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
/// # let pool = Pool::builder().build(Toy)?;
/// let earlier = pool.stats();
/// for _ in 0..3 {
///     pool.get()?;
/// }
/// let now = pool.stats();
/// assert_eq!((now.open, now.in_use), (1, 0));
/// assert_eq!(now.returned - earlier.returned, 3); // Counters only grow.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that are open: idle, lent, being checked or being reset.
    pub open: u32,
    /// Open and available.
    pub idle: u32,
    /// Lent.
    pub in_use: u32,
    /// Being opened.
    pub opening: u32,
    /// Being checked before a loan.
    pub checking: u32,
    /// Being reset after a loan.
    pub resetting: u32,
    /// Being closed.
    pub closing: u32,
    /// Threads that wait in [`get`](crate::Pool::get), and tasks that wait in [`get_async`](crate::Pool::get_async).
    pub waiting: u32,
    /// Aborted by the pool, while the call that runs on them has not returned. Not part of `max_size`.
    pub aborted: u32,
    /// Threads written off in a look-up that cannot be aborted. Not part of `max_size`.
    pub abandoned: u32,
    /// Calls past their limit that registered no abort. They keep their slots until they return.
    pub stuck: u32,
    /// The maximum number of connections.
    pub max_size: u32,
    /// The number of idle connections that the pool keeps ready.
    pub min_idle: u32,

    /// Connections opened so far.
    pub opened: u64,
    /// Connection attempts that failed.
    pub open_failures: u64,
    /// Those of them that found a server without the required role ([`Fault::WrongRole`](crate::Fault::WrongRole)).
    pub wrong_role_failures: u64,
    /// Loans that did not wait. Each request of the process that built the pool ends in exactly one of the counters from here to
    /// `cancelled`; subtract `rejected_at_checkout`, which is counted twice.
    pub checked_out_at_once: u64,
    /// Loans that waited.
    pub checked_out_after_waiting: u64,
    /// Those of these loans that failed at check-out: the caller found the connection broken, `on_checkout` refused it, the process had
    /// been suspended and the connection needed a check, or a future did not collect it.
    pub rejected_at_checkout: u64,
    /// Requests that timed out, including those with a time-out of zero.
    pub timed_out: u64,
    /// Requests refused because of `max_waiters`.
    pub overloaded: u64,
    /// Requests refused because no connection can be opened until the cause is fixed ([`GetError::Connect`](crate::GetError::Connect)).
    pub refused: u64,
    /// Requests refused because the pool is closed.
    pub refused_closed: u64,
    /// Calls of [`try_get`](crate::Pool::try_get) that found no connection ready.
    pub not_available: u64,
    /// Requests refused because a hook or a manager's method may not wait for its own pool.
    pub called_from_hook: u64,
    /// Requests of [`get_async`](crate::Pool::get_async) whose future was dropped while it waited.
    pub cancelled: u64,
    /// Loans that ended.
    pub returned: u64,
    /// Returns that needed no reset.
    pub resets_skipped: u64,
    /// Resets that ended without an error.
    pub resets_done: u64,
    /// Resets that failed.
    pub resets_failed: u64,
    /// Loans reported as leaks.
    pub leaks: u64,
    /// Connections closed so far, by reason.
    pub closed: CloseCounts,

    /// How long callers waited: those served, at once or later, and those that timed out, but not those refused. A waiter's time is
    /// counted when its thread wakes.
    pub wait_time: Histogram,
    /// How long loans lasted.
    pub use_time: Histogram,
    /// How long opening took.
    pub open_time: Histogram,
}

impl Stats {
    /// Returns the fraction of `max_size` that is lent, from 0 to 1 (more while a shrunk pool still has loans out).
    pub fn utilization(&self) -> f64 {
        f64::from(self.in_use) / f64::from(self.max_size.max(1))
    }
}

/// The number of closed connections, by reason.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CloseCounts([u64; CloseReason::ALL.len()]);

impl CloseCounts {
    /// Returns the number of connections closed for this reason.
    pub fn by(&self, reason: CloseReason) -> u64 {
        self.0[reason as usize]
    }

    /// Returns the number of connections closed for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn count(&mut self, reason: CloseReason) {
        self.0[reason as usize] += 1;
    }
}

/// Only the reasons that occurred.
impl fmt::Debug for CloseCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = CloseReason::ALL.iter().map(|&reason| (reason.as_str(), self.by(reason)));
        f.debug_map().entries(counts.filter(|&(_, count)| count > 0)).finish()
    }
}
