//! Reports of unserved requests: the state of the pool and the holders of its connections.

use crate::cause::Chain;
use crate::figures::{Count, Span};
use crate::stats::Stats;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// The state of a pool that could not serve a request.
#[derive(Clone)]
#[non_exhaustive]
pub struct Report {
    /// The pool's name.
    pub pool: String,
    /// How long the caller waited.
    pub waited: Duration,
    /// The pool's statistics at the end of the wait.
    pub stats: Stats,
    /// The holders of connections, the longest loan first; at most sixteen of them.
    pub holders: Vec<Holder>,
    /// The number of loans that `sites` counts: the longest, up to a hundred.
    pub(crate) looked_at: usize,
    pub(crate) sites: Vec<Site>,
    /// How long the oldest running connection attempt has taken so far.
    pub oldest_attempt: Option<Duration>,
    /// The last connect error since the last success, and its age.
    pub last_connect_error: Option<(Arc<dyn Error + Send + Sync>, Duration)>,
    /// The newest remark on the server of an open connection, and its age. Only the last answer of
    /// [`Manager::remark`](crate::Manager::remark) for each connection counts.
    pub remark: Option<(Arc<str>, Duration)>,
    /// Whether the pool opens no more connections, because too many calls that it gave up (`stats.aborted`, `stats.abandoned`) have not
    /// returned. The limit is eight times `max_size`.
    pub opens_no_more: bool,
    /// How many of the hundred longest loans this thread checked out and probably still holds. A hint, because guards may move between
    /// threads. A thread that holds a connection while it waits for another may deadlock with itself.
    pub held_by_this_thread: u32,
}

impl Report {
    /// The last connect error, as the source of an error.
    pub(crate) fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last_connect_error.as_ref().map(|(error, _)| &**error as _)
    }
}

/// With the last connect error and its sources.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Sourced(self).fmt(f)?;
        if let Some(error) = self.source() {
            write!(f, ": {}", Chain(error))?;
        }
        Ok(())
    }
}

/// A report in an error whose source is the last connect error. The text ends where that error would follow.
pub(crate) struct Sourced<'a>(pub(crate) &'a Report);

/// The same for `build`, which has made no request: its idle connections wait for the others to open.
pub(crate) struct OfBuild<'a>(pub(crate) &'a Report);

impl fmt::Display for Sourced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(report) = self;
        report.write_counts(f)?;
        if report.stats.idle > 0 {
            write!(f, "; idle connections are stale and are being checked first")?;
        }
        report.write_causes(f)
    }
}

impl fmt::Display for OfBuild<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(report) = self;
        report.write_counts(f)?;
        report.write_causes(f)
    }
}

impl Report {
    fn write_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stats, pool: name, .. } = self;
        let Stats { max_size, in_use, idle, opening, checking, resetting, closing, waiting, .. } = stats;
        let Stats { stuck, aborted, abandoned, .. } = stats;
        write!(f, "pool {name:?} (max_size {max_size}) has {in_use} in use, {idle} idle, {opening} opening")?;
        for (count, state) in [
            (checking, "being checked"),
            (resetting, "being reset"),
            (closing, "closing"),
            (stuck, "of these stuck"),
            (aborted, "aborted"),
            (abandoned, "abandoned"),
        ] {
            if *count > 0 {
                write!(f, ", {count} {state}")?;
            }
        }
        if *waiting > 0 {
            write!(f, ", {} waiting", Count(*waiting as usize, "other request"))?;
        }
        Ok(())
    }

    fn write_causes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(age) = self.oldest_attempt {
            write!(f, "; the oldest connection attempt has been running for {}", Span(age))?;
        }
        if self.opens_no_more {
            write!(f, "; no more connections are opened until an aborted or abandoned call returns")?;
        }
        if let Some((remark, age)) = &self.remark {
            write!(f, "; {remark}, as of {} ago", Span(*age))?;
        }
        let mut lead = if self.stats.in_use as usize > self.looked_at {
            format!("; of the {} longest loans, ", self.looked_at)
        } else {
            "; ".to_owned()
        };
        for (site, count, oldest) in &self.sites {
            let age = if *count == 1 { "" } else { "the oldest " };
            write!(f, "{lead}{count} checked out at {site}, {age}{} ago", Span(*oldest))?;
            lead.replace_range(.., "; ");
        }
        // A site with few loans may have the oldest of all.
        let listed = self.sites.iter().map(|(_, count, _)| count).sum::<usize>();
        if let Some(others) = self.looked_at.checked_sub(listed).filter(|others| *others > 0) {
            write!(f, "; {others} at other sites")?;
            let is_listed = |holder: &&Holder| self.sites.iter().any(|(site, ..)| *site == holder.call_site);
            if let Some(holder) = self.holders.iter().find(|holder| !is_listed(holder)) {
                write!(f, ", the oldest at {}, {} ago", holder.call_site, Span(holder.held_for))?;
            }
        }
        if self.held_by_this_thread > 0 {
            write!(f, "; this thread itself seems to hold {}", self.held_by_this_thread)?;
            if !self.waited.is_zero() {
                write!(f, ", and may be waiting for itself")?;
            }
        }
        if let Some((_, age)) = &self.last_connect_error {
            write!(f, "; connecting failed {} ago", Span(*age))?;
        }
        Ok(())
    }
}

/// The text of `Display`.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A call site, the number of loans checked out there, and the age of the oldest.
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

/// A loan and where it was checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The connection's number in this pool.
    pub id: u64,
    /// The age of the loan.
    pub held_for: Duration,
    /// Where it was checked out.
    pub call_site: &'static Location<'static>,
    /// The number of the thread that checked it out, unique in this process. `None` for a task. See
    /// [`WaiterInfo::thread`](crate::WaiterInfo::thread).
    pub thread: Option<u64>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {} checked out at {}, {} ago", self.id, self.call_site, Span(self.held_for))
    }
}
