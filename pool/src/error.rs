//! What can go wrong, told so that a person with an outage can act on it.

use crate::config::ConfigError;
use crate::stats::Stats;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// Why there is no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum GetError<E> {
    /// The deadline came first. The report tells who holds the connections, and the last error on connecting.
    Timeout(Box<Report>),
    /// No connection is open and none can be opened until something is mended, such as the password. All who wait
    /// share the one cause; the next attempt comes by itself, 1 to 30 s after the last.
    Connect(Arc<E>),
    /// `max_waiters` others wait already.
    Overloaded(Box<Report>),
    /// The pool is closed.
    Closed,
    /// Called in a worker that works for this very pool, by `on_open`, a manager's method or an event handler: it would wait for
    /// itself.
    CalledFromHook,
    /// Called in a child of `fork`, of a pool that was built in the parent: its connections are the parent's. There is no event.
    /// Build a pool in the child.
    Forked,
}

impl<E> GetError<E> {
    /// Did the deadline come first?
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Is the pool closed?
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// The report of a time-out or of overload.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Timeout(report) | Self::Overloaded(report) => Some(report),
            _ => None,
        }
    }
}

impl<E: Error + 'static> fmt::Display for GetError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(report) => write!(f, "no connection within {:.1?}: {report}", report.waited),
            Self::Connect(error) => {
                write!(f, "cannot connect, and trying again at once will not help: {}", Chain(&**error))
            }
            Self::Overloaded(report) => write!(f, "too many threads wait for a connection: {report}"),
            Self::Closed => f.write_str("the pool is closed"),
            Self::CalledFromHook => f.write_str("a hook or manager method may not wait for its own pool"),
            Self::Forked => f.write_str(FORKED),
        }
    }
}

/// The text tells the cause with all that lies behind it, so there is no `source`: nothing is told twice. The cause itself
/// is in the variants.
impl<E: Error + 'static> Error for GetError<E> {}

/// The state of a pool that could not serve somebody.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The pool's name.
    pub pool: String,
    /// How long the caller waited.
    pub waited: Duration,
    /// The pool's numbers at the end of the wait.
    pub stats: Stats,
    /// Who holds connections, the longest loan first; at most sixteen of them.
    pub holders: Vec<Holder>,
    /// How many of the longest loans `sites` counts: all, up to a hundred.
    pub(crate) looked_at: usize,
    pub(crate) sites: Vec<Site>,
    /// For how long the oldest attempt to connect that is under way has run.
    pub oldest_attempt: Option<Duration>,
    /// The last error on connecting that no success has followed, and its age.
    pub last_connect_error: Option<(Arc<dyn Error + Send + Sync>, Duration)>,
    /// Is no connection opened any more because so many calls that were given up (`stats.aborted`, `stats.abandoned`) have
    /// not returned? There may be eight times `max_size` of them.
    pub opens_no_more: bool,
    /// How many connections this very thread checked out and, it seems, still holds, of the hundred longest loans: a hint,
    /// for guards may move between threads. A thread that holds one while it waits for another can wait for itself.
    pub held_by_this_thread: u32,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { max_size, in_use, idle, opening, checking, resetting, closing, waiting, .. } = &self.stats;
        let Stats { stuck, aborted, abandoned, .. } = &self.stats;
        write!(f, "pool {:?} of {max_size} has {in_use} in use, {idle} idle, {opening} opening", self.pool)?;
        for (count, state) in [
            (checking, "being checked"),
            (resetting, "being reset"),
            (closing, "closing"),
            (stuck, "stuck"),
            (aborted, "aborted"),
            (abandoned, "abandoned"),
        ] {
            if *count > 0 {
                write!(f, ", {count} {state}")?;
            }
        }
        write!(f, ", {waiting} waiting")?;
        if *idle > 0 {
            write!(f, "; what is idle must be checked before its next loan")?;
        }
        if let Some(age) = self.oldest_attempt {
            write!(f, "; the oldest attempt to connect has run for {age:.1?}")?;
        }
        if self.opens_no_more {
            write!(f, "; no more are opened until one of the calls that were given up returns")?;
        }
        if let Some((error, age)) = &self.last_connect_error {
            write!(f, "; connecting failed {age:.1?} ago: {}", Chain(error.as_ref()))?;
        }
        let mut lead = if *in_use as usize > self.looked_at {
            format!("; of the {} longest loans, ", self.looked_at)
        } else {
            "; ".to_owned()
        };
        for (site, count, oldest) in &self.sites {
            write!(f, "{lead}{count} held by {site}, since {oldest:.1?}")?;
            lead.replace_range(.., "; ");
        }
        if self.held_by_this_thread > 0 {
            write!(f, "; this thread itself seems to hold {}", self.held_by_this_thread)?;
        }
        Ok(())
    }
}

/// A call site, how many loans were taken there, and the age of the oldest.
pub(crate) type Site = (&'static Location<'static>, usize, Duration);

/// The call sites with the most loans, at most `told` of them.
pub(crate) fn sites(holders: &[Holder], told: usize) -> Vec<Site> {
    let mut sites: Vec<Site> = Vec::new();
    for holder in holders {
        match sites.iter_mut().find(|(site, ..)| *site == holder.call_site) {
            Some((_, count, oldest)) => (*count, *oldest) = (*count + 1, (*oldest).max(holder.held_for)),
            None => sites.push((holder.call_site, 1, holder.held_for)),
        }
    }
    sites.sort_by_key(|&(_, count, oldest)| std::cmp::Reverse((count, oldest)));
    sites.truncate(told);
    sites
}

/// A loan, and who took it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The connection's number in this pool.
    pub id: u64,
    /// How long it has been lent.
    pub held_for: Duration,
    /// Where it was checked out.
    pub call_site: &'static Location<'static>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {} checked out at {} {:.1?} ago", self.id, self.call_site, self.held_for)
    }
}

/// Why a pool was not built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError<E> {
    /// The settings break rules.
    Config(ConfigError),
    /// The first connection could not be opened: at once for a permanent fault, else after `connect_timeout`.
    Connect(Arc<E>),
    /// No connection was open by `connect_timeout`, and no error of the driver's says why: attempts hung, or panicked.
    Timeout(Box<Report>),
}

impl<E: Error + 'static> fmt::Display for BuildError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Connect(error) => write!(f, "the first connection could not be opened: {}", Chain(&**error)),
            Self::Timeout(report) => {
                write!(f, "the first connection was not open within {:.1?}: {report}", report.waited)
            }
        }
    }
}

/// As for [`GetError`], there is no `source`.
impl<E: Error + 'static> Error for BuildError<E> {}

/// Why a pool was not resized. Its sizes are as they were.
#[non_exhaustive]
pub enum ResizeError {
    /// The sizes break rules.
    Config(ConfigError),
    /// The pool is closed.
    Closed,
    /// Called in a child of `fork`, of a pool that was built in the parent.
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

/// The sentence of `Display`.
impl fmt::Debug for ResizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ResizeError {}

const FORKED: &str = "the pool was built before this process was forked: build one in the child";

/// An error with all that lies behind it. Some drivers say no more than "db error" by themselves.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        f.write_str(&told)?;
        let mut behind = self.0.source();
        while let Some(error) = behind {
            let text = error.to_string();
            // Others repeat in their own text what lies behind.
            if !told.contains(&text) {
                write!(f, ": {text}")?;
                told = text;
            }
            behind = error.source();
        }
        Ok(())
    }
}

/// Why an attempt to connect failed: the driver's error, or what the pool itself saw.
#[derive(Debug)]
pub(crate) enum Cause<E> {
    Driver(Arc<E>),
    Seen(Arc<Seen>),
}

/// A failure without an error of the driver's: a panic, or a call that overran its limit.
#[derive(Debug)]
pub(crate) struct Seen(pub(crate) String);

impl<E> Cause<E> {
    pub(crate) fn seen(text: impl Into<String>) -> Self {
        Self::Seen(Arc::new(Seen(text.into())))
    }

    /// An attempt to connect was given up after `limit`.
    pub(crate) fn connect_overran(limit: Duration) -> Self {
        Self::seen(format!("connecting took longer than {limit:?}"))
    }
}

impl<E: Error + Send + Sync + 'static> Cause<E> {
    pub(crate) fn to_error(&self) -> Arc<dyn Error + Send + Sync> {
        match self {
            Self::Driver(error) => Arc::clone(error) as _,
            Self::Seen(seen) => Arc::clone(seen) as _,
        }
    }
}

impl<E> Clone for Cause<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Driver(error) => Self::Driver(Arc::clone(error)),
            Self::Seen(seen) => Self::Seen(Arc::clone(seen)),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Seen {}
