//! A pool in detail at one moment: each connection, each who waits, and what keeps new connections away.

use crate::figures::Span;
use crate::health::Health;
use crate::phase::Phase;
use crate::report::Holder;
use crate::stats::Stats;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// A pool at one moment. See [`Pool::overview`](crate::Pool::overview).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Overview {
    /// The numbers.
    pub stats: Stats,
    /// How the pool fares.
    pub health: Health,
    /// See [`Pool::connections`](crate::Pool::connections).
    pub connections: Vec<ConnectionInfo>,
    /// See [`Pool::waiters`](crate::Pool::waiters).
    pub waiters: Vec<WaiterInfo>,
    /// See [`Pool::outage`](crate::Pool::outage).
    pub outage: Option<Outage>,
}

/// One connection at one moment. See [`Pool::connections`](crate::Pool::connections).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Its number in this pool, from the time it is open.
    pub id: Option<u64>,
    /// What it is doing.
    pub phase: Phase,
    /// For how long. Of one that rests in the cell of its thread: since its last loan began at the most.
    pub in_phase_for: Duration,
    /// How long ago it was opened.
    pub age: Option<Duration>,
    /// How many of its loans have ended.
    pub uses: u64,
    /// Who has it, also if the pool has aborted it meanwhile.
    pub holder: Option<Holder>,
    /// Is a call on it past its limit, which nobody can abort?
    pub is_stuck: bool,
    /// What the manager had to say of its server. See [`Manager::remark`](crate::Manager::remark).
    pub remark: Option<Arc<str>>,
}

/// One who waits for a connection. See [`Pool::waiters`](crate::Pool::waiters).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WaiterInfo {
    /// For how long it has waited.
    pub waited: Duration,
    /// For how long it will go on, if nothing comes; zero if its time is over and it has not left yet. `None`: without end.
    pub left: Option<Duration>,
    /// Where it asked.
    pub call_site: &'static Location<'static>,
    /// Which thread waits, by a number that this process gives to no other thread. `None`: a task does. A thread that [holds a
    /// connection](Holder::thread) while it waits for another may wait for itself.
    pub thread: Option<u64>,
    /// The thread's name, if it has one.
    pub thread_name: Option<String>,
}

/// New connections cannot be had. Those that are open may still serve. See [`Pool::outage`](crate::Pool::outage).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outage {
    /// What keeps them away.
    pub obstacle: Obstacle,
    /// For how long.
    pub since: Duration,
    /// How many attempts have failed; those that failed together count once.
    pub failures: u32,
    /// When the next attempt is due: zero if it is now. It is made if somebody waits, or if `min_idle` asks for it.
    pub next_attempt: Duration,
    /// For how long the oldest attempt that is under way has run.
    pub attempt_under_way: Option<Duration>,
    /// Why the last attempt failed, and how long ago.
    pub last_error: Option<(Arc<dyn Error + Send + Sync>, Duration)>,
}

/// The last error is left to its own text.
impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { obstacle, since, failures, next_attempt, attempt_under_way, .. } = self;
        write!(f, "{obstacle} for {}, {failures} attempts failed", Span(*since))?;
        match attempt_under_way {
            Some(age) => write!(f, ", the next has run for {}", Span(*age)),
            None if next_attempt.is_zero() => f.write_str(", the next is due"),
            None => write!(f, ", the next is due in {}", Span(*next_attempt)),
        }
    }
}

/// What keeps new connections away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Obstacle {
    /// The server is not reached, or does not serve.
    Unavailable,
    /// The server has no room for more sessions.
    Full,
    /// The server refuses for a reason that somebody must mend, such as a wrong password.
    Refused,
    /// Connections are opened, and die before they are of use.
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
