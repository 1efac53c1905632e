//! How a pool fares, for probes and for people.

use crate::report::Holder;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How a pool fares. See [`Pool::health`](crate::Pool::health).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Health {
    /// Who asks is served, as far as is known.
    Up,
    /// All connections are lent, and somebody waits.
    Busy {
        /// How long one who asks now is likely to wait: what those before it need at the mean length of a loan.
        expected_wait: Duration,
    },
    /// No connection is open, and none can be opened.
    Down {
        /// For how long.
        since: Duration,
        /// Why the last attempt failed.
        cause: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// Every place is taken by a loan that has lasted for over a minute, or by a call of the driver that does not end. Another
    /// replica may be well, and a restart may help.
    Stuck {
        /// Who holds the connections, the longest loan first.
        holders: Vec<Holder>,
    },
    /// The pool is closed.
    Closed,
}

impl Health {
    /// How it fares as a word for metrics: `up`, `busy`, `down`, `stuck` or `closed`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Busy { .. } => "busy",
            Self::Down { .. } => "down",
            Self::Stuck { .. } => "stuck",
            Self::Closed => "closed",
        }
    }

    /// May traffic be sent here? Not to a pool that is closed or stuck. While the server is away another replica would fare no better, and
    /// callers are best told by a quick 503.
    pub fn is_ready(&self) -> bool {
        !matches!(self, Self::Stuck { .. } | Self::Closed)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up => f.write_str("up"),
            Self::Busy { expected_wait } => write!(f, "busy: a wait of {expected_wait:.1?} is likely"),
            Self::Down { since, cause: Some(cause) } => write!(f, "down for {since:.1?}: {cause}"),
            Self::Down { since, cause: None } => write!(f, "down for {since:.1?}"),
            Self::Stuck { holders } => {
                write!(f, "stuck: {} loans last for over a minute", holders.len())?;
                holders.first().map_or(Ok(()), |first| {
                    write!(f, ", the longest for {:.1?} from {}", first.held_for, first.call_site)
                })
            }
            Self::Closed => f.write_str("closed"),
        }
    }
}
