//! A pool's health, for probes and for people.

use crate::cause::Chain;
use crate::figures::Count;
use crate::report::Holder;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The health of a pool. See [`Pool::health`](crate::Pool::health).
///
/// ```
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Away;
/// use cabrank::Health;
/// use std::time::Duration;
///
/// # let manager = Away;
/// // This manager's server is down.
/// let pool = Pool::builder().build_lazy(manager)?;
/// assert!(pool.get_timeout(Duration::from_millis(200)).is_err());
/// let page = match pool.health() {
///     Health::Down { since, cause: Some(cause) } => format!("no database for {since:.1?}: {cause}"),
///     health => health.to_string(),
/// };
/// assert!(page.ends_with("connection refused"), "{page}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Health {
    /// As far as the pool has observed, requests are served.
    Up,
    /// All connections are lent, and callers wait.
    Busy {
        /// The likely wait of a new request: the time that the waiters before it need, at the mean length of a loan.
        expected_wait: Duration,
    },
    /// No connection is open, and none can be opened.
    Down {
        /// How long this has lasted.
        since: Duration,
        /// The error of the last attempt.
        cause: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// Every slot is taken by a loan of over a minute, or by a driver call that does not end. Another replica may be healthy, and a
    /// restart may help.
    Stuck {
        /// The holders of connections, the longest loan first.
        holders: Vec<Holder>,
    },
    /// The pool is closed.
    Closed,
}

impl Health {
    /// Returns the state as a word for metrics: `up`, `busy`, `down`, `stuck` or `closed`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Busy { .. } => "busy",
            Self::Down { .. } => "down",
            Self::Stuck { .. } => "stuck",
            Self::Closed => "closed",
        }
    }

    /// Returns whether this replica should get traffic. `false` if the pool is closed or stuck. `true` while the server is down, because
    /// another replica would be no better, and callers are served best by a quick 503.
    pub fn is_ready(&self) -> bool {
        !matches!(self, Self::Stuck { .. } | Self::Closed)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up => f.write_str("up"),
            Self::Busy { expected_wait } => write!(f, "busy: a new request is likely to wait for {expected_wait:.1?}"),
            Self::Down { since, cause: Some(cause) } => write!(f, "down for {since:.1?}: {}", Chain(cause.as_ref())),
            Self::Down { since, cause: None } => write!(f, "down for {since:.1?}"),
            Self::Stuck { holders } => match holders.first() {
                None => f.write_str("stuck: every connection is in a driver call that does not end"),
                Some(Holder { held_for, call_site, .. }) => {
                    let loans = Count(holders.len(), "loan");
                    write!(
                        f,
                        "stuck: {loans} over a minute old, the oldest checked out at {call_site}, {held_for:.1?} ago"
                    )
                }
            },
            Self::Closed => f.write_str("closed"),
        }
    }
}
