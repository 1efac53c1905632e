//! A detailed snapshot of a pool: its connections, its waiters, and any outage.

use crate::figures::{Count, Span};
use crate::health::Health;
use crate::phase::Phase;
use crate::report::Holder;
use crate::stats::Stats;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// A snapshot of a pool. See [`Pool::overview`](crate::Pool::overview).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Overview {
    /// The statistics.
    pub stats: Stats,
    /// The pool's health.
    pub health: Health,
    /// See [`Pool::connections`](crate::Pool::connections).
    pub connections: Vec<ConnectionInfo>,
    /// See [`Pool::waiters`](crate::Pool::waiters).
    pub waiters: Vec<WaiterInfo>,
    /// See [`Pool::outage`](crate::Pool::outage).
    pub outage: Option<Outage>,
}

/// A snapshot of one connection. See [`Pool::connections`](crate::Pool::connections).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Its number in this pool, once it is open.
    pub id: Option<u64>,
    /// Its current phase.
    pub phase: Phase,
    /// How long it has been in this phase. For a connection idle in its thread's cell: at most since its last loan began.
    pub in_phase_for: Duration,
    /// How long ago it was opened.
    pub age: Option<Duration>,
    /// The number of its ended loans.
    pub uses: u64,
    /// Its holder, even if the pool has since aborted the connection.
    pub holder: Option<Holder>,
    /// Whether a call on it is past its limit and cannot be aborted.
    pub is_stuck: bool,
    /// The manager's remark on its server. See [`Manager::remark`](crate::Manager::remark).
    pub remark: Option<Arc<str>>,
}

/// A waiter. See [`Pool::waiters`](crate::Pool::waiters).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WaiterInfo {
    /// How long it has waited.
    pub waited: Duration,
    /// How long it will still wait; zero if its deadline has passed but it has not left yet. `None`: no deadline.
    pub left: Option<Duration>,
    /// The call site of its request.
    pub call_site: &'static Location<'static>,
    /// The number of the waiting thread, unique in this process. `None` for a task. A thread that [holds a connection](Holder::thread)
    /// while it waits for another may deadlock with itself.
    pub thread: Option<u64>,
    /// The thread's name, if it has one.
    pub thread_name: Option<String>,
}

/// The pool cannot open new connections. Open ones may still be used. See [`Pool::outage`](crate::Pool::outage).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outage {
    /// The obstacle.
    pub obstacle: Obstacle,
    /// How long the outage has lasted.
    pub since: Duration,
    /// The number of failed attempts; those that failed together count once.
    pub failures: u32,
    /// The time until the next attempt is due: zero if it is due now. It is made if there are waiters, or to reach `min_idle`.
    pub next_attempt: Duration,
    /// How long the oldest running attempt has taken so far.
    pub attempt_under_way: Option<Duration>,
    /// The error of the last attempt, and its age.
    pub last_error: Option<(Arc<dyn Error + Send + Sync>, Duration)>,
}

/// Without the text of the last error.
impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { obstacle, since, failures, next_attempt, attempt_under_way, .. } = self;
        write!(f, "{obstacle} for {}, {} failed", Span(*since), Count(*failures as usize, "attempt"))?;
        match attempt_under_way {
            Some(age) => write!(f, ", an attempt has been running for {}", Span(*age)),
            None if next_attempt.is_zero() => f.write_str(", the next is due"),
            None => write!(f, ", the next is due in {}", Span(*next_attempt)),
        }
    }
}

/// The obstacle to new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Obstacle {
    /// The server cannot be reached, or does not serve.
    Unavailable,
    /// The server has no room for more sessions.
    Full,
    /// The server refuses until the cause, such as a wrong password, is fixed.
    Refused,
    /// Connections open, but die before their first use.
    ShortLived,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "unavailable",
            Self::Full => "full",
            Self::Refused => "refused",
            Self::ShortLived => "short-lived",
        })
    }
}
