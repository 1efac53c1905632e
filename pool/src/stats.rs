//! The numbers of a pool at one moment.

use crate::histogram::Histogram;
use crate::reason::CloseReason;
use std::fmt;

/// The numbers of a pool at one moment. They always add up: a loan has begun and is out, or it has ended. While threads borrow,
/// `use_time` may already have a loan that `returned` has not.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that are open: idle, lent, being checked or being reset.
    pub open: u32,
    /// Open and waiting for a borrower.
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
    /// Threads that wait in [`get`](crate::Pool::get), and tasks in [`get_async`](crate::Pool::get_async).
    pub waiting: u32,
    /// Aborted by the pool, while the call that was running on them has not returned yet. Not part of `max_size`.
    pub aborted: u32,
    /// Threads written off in a look-up that nobody can abort. Not part of `max_size`.
    pub abandoned: u32,
    /// Calls past their limit that registered no way to abort them. They keep their slots until they return.
    pub stuck: u32,
    /// The most connections this pool may hold.
    pub max_size: u32,
    /// How many idle connections are kept ready.
    pub min_idle: u32,

    /// Connections opened so far.
    pub opened: u64,
    /// Attempts to connect that failed.
    pub open_failures: u64,
    /// Attempts among these that found a server in another role than is asked for ([`Fault::WrongRole`](crate::Fault::WrongRole)).
    pub wrong_role_failures: u64,
    /// Loans that did not wait. Each request of the process that built the pool ends in exactly one of these counters, from here
    /// to `cancelled`; what is in `rejected_at_checkout` is counted twice, and must be taken off.
    pub checked_out_at_once: u64,
    /// Loans that waited.
    pub checked_out_after_waiting: u64,
    /// Loans among these that came to nothing: the borrower's look found the connection broken, `on_checkout` refused it, the
    /// process had been frozen and it must be checked first, or a future did not come for it.
    pub rejected_at_checkout: u64,
    /// Requests that ran out of time, those whose time-out is zero included.
    pub timed_out: u64,
    /// Requests refused because of `max_waiters`.
    pub overloaded: u64,
    /// Requests refused because nothing can be opened until somebody mends something
    /// ([`GetError::Connect`](crate::GetError::Connect)).
    pub refused: u64,
    /// Requests refused because the pool is closed.
    pub refused_closed: u64,
    /// Calls of [`try_get`](crate::Pool::try_get) when nothing was ready.
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

    /// How long borrowers waited: those who were served, at once or later, and those who timed out; not those who were refused.
    /// One who was served while waiting is counted here when its thread wakes.
    pub wait_time: Histogram,
    /// How long connections were lent.
    pub use_time: Histogram,
    /// How long opening took.
    pub open_time: Histogram,
}

impl Stats {
    /// The share of `max_size` that is lent, from 0 to 1 (more while a shrunk pool still has loans out).
    pub fn utilization(&self) -> f64 {
        f64::from(self.in_use) / f64::from(self.max_size.max(1))
    }
}

/// How many connections were closed, by reason.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CloseCounts([u64; CloseReason::ALL.len()]);

impl CloseCounts {
    /// Closed for this reason.
    pub fn by(&self, reason: CloseReason) -> u64 {
        self.0[reason as usize]
    }

    /// Closed for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn count(&mut self, reason: CloseReason) {
        self.0[reason as usize] += 1;
    }
}

/// Only the reasons that there were.
impl fmt::Debug for CloseCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = CloseReason::ALL.iter().map(|&reason| (reason.as_str(), self.by(reason)));
        f.debug_map().entries(counts.filter(|&(_, count)| count > 0)).finish()
    }
}
