//! The figures of one run, and of all runs of a scenario.

use std::fmt;
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
pub(super) struct Figures {
    /// The judged time: gets that begin in it are judged, and attempts in it are counted separately.
    from: Instant,
    until: Instant,
    /// Gets that ended with a connection.
    pub(super) served: usize,
    /// Gets that timed out, and those of them that did so although an idle connection would have answered.
    pub(super) failed: usize,
    pub(super) beside_idle: usize,
    /// Loans that failed because of a server in the wrong role.
    pub(super) erred: usize,
    /// Gets still waiting at the end.
    pub(super) left: usize,
    /// Gets that were refused with the cause, and the longest time until a refusal.
    pub(super) told: usize,
    pub(super) told_after: Duration,
    pub(super) longest_wait: Duration,
    /// Attempts to connect: all, those in the judged time, and the most simultaneous ones in it.
    pub(super) attempts: usize,
    pub(super) judged_attempts: usize,
    pub(super) at_once: usize,
    /// Healthy sessions that were closed.
    pub(super) healthy_closed: usize,
}

impl Figures {
    pub(super) fn new(from: Instant, until: Instant) -> Self {
        Self {
            from,
            until,
            served: 0,
            failed: 0,
            beside_idle: 0,
            erred: 0,
            left: 0,
            told: 0,
            told_after: Duration::ZERO,
            longest_wait: Duration::ZERO,
            attempts: 0,
            judged_attempts: 0,
            at_once: 0,
            healthy_closed: 0,
        }
    }

    pub(super) fn served(&mut self, since: Instant, now: Instant) {
        if self.judges(since) {
            self.served += 1;
            self.waits(since, now);
        }
    }

    pub(super) fn failed(&mut self, since: Instant, now: Instant, beside_idle: bool) {
        if self.judges(since) {
            self.failed += 1;
            self.beside_idle += usize::from(beside_idle);
            self.waits(since, now);
        }
    }

    pub(super) fn erred(&mut self, now: Instant) {
        self.erred += usize::from(self.judges(now));
    }

    pub(super) fn told(&mut self, since: Instant, now: Instant) {
        if self.judges(since) {
            self.told += 1;
            self.told_after = self.told_after.max(now - since);
        }
    }

    pub(super) fn waits(&mut self, since: Instant, now: Instant) {
        if self.judges(since) {
            self.longest_wait = self.longest_wait.max(now - since);
        }
    }

    /// An attempt to connect begins; `at_once` includes it.
    pub(super) fn attempt(&mut self, now: Instant, at_once: usize) {
        self.attempts += 1;
        if self.judges(now) {
            self.judged_attempts += 1;
            self.at_once = self.at_once.max(at_once);
        }
    }

    /// The worse of both runs; gets are added up.
    pub(super) fn merge(&mut self, other: &Self) {
        self.served += other.served;
        self.failed += other.failed;
        self.beside_idle += other.beside_idle;
        self.erred = self.erred.max(other.erred);
        self.left += other.left;
        self.told += other.told;
        self.told_after = self.told_after.max(other.told_after);
        self.longest_wait = self.longest_wait.max(other.longest_wait);
        self.attempts = self.attempts.max(other.attempts);
        self.judged_attempts = self.judged_attempts.max(other.judged_attempts);
        self.at_once = self.at_once.max(other.at_once);
        self.healthy_closed = self.healthy_closed.max(other.healthy_closed);
    }

    fn judges(&self, at: Instant) -> bool {
        (self.from..=self.until).contains(&at)
    }
}

/// One row of the table, after the name of the scenario.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            served, failed, beside_idle, erred, told, attempts, judged_attempts, at_once, healthy_closed, ..
        } = self;
        let (wait, after) = (millis(self.longest_wait), millis(self.told_after));
        let told = if *told > 0 { format!("{told} after {after}") } else { "0".to_owned() };
        let failed =
            if *beside_idle > 0 { format!("{failed} ({beside_idle} beside idle)") } else { failed.to_string() };
        let columns = format!("{served:>7} | {failed:>7} | {erred:>5} | {told:>12} | {wait:>8}");
        write!(f, "{columns} | {attempts:>7} | {judged_attempts:>6} | {at_once:>7} | {healthy_closed:>7}")
    }
}

pub(super) fn millis(span: Duration) -> String {
    format!("{:.1}", span.as_secs_f64() * 1e3)
}

/// The head of the table whose rows [`Figures`] print.
pub(super) const HEAD: &str =
    "served  |  failed | erred |         told |  wait ms | log-ins | judged | at once | closed";
