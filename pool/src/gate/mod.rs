//! May we open a connection now, how many, and if not, what do we tell?
//!
//! One pure piece: back-off, the single probe of an outage, the ramp after it, the ceiling of a full server, the
//! permanent fault. It reads no clock and opens nothing.

#[cfg(test)]
mod tests;

use crate::config::SHORTEST_PAUSE;
use crate::sync::after;
use std::time::{Duration, Instant};

pub(crate) struct Gate {
    /// The first and the largest pause.
    backoff: (Duration, Duration),
    connect_timeout: Duration,
    trouble: Option<Trouble>,
    /// How many may be opened at the same time after an outage; doubled by each success, then lifted.
    ramp: Option<usize>,
    /// How many may be opened at the same time while loans go on, so that a burst that the present connections can
    /// serve does not open more; doubled by each success, one again when nobody waits.
    growth: usize,
    /// How many sessions a full server has for us, as far as we know.
    ceiling: Option<usize>,
    random: fastrand::Rng,
}

/// What stands between us and a connection, since when, and when to try again.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    kind: Refusal,
    since: Instant,
    failures: u32,
    retry_at: Instant,
}

/// Why an attempt to connect failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not reachable, for now.
    Unavailable,
    /// Full.
    Capacity,
    /// Wrong password, no such database.
    Permanent,
}

/// How things stand, as far as the gate must know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// Slots that count against `max_size`, the opening ones included.
    pub(crate) taken: usize,
    pub(crate) opening: usize,
    /// Are loans under way, whose connections will come back?
    pub(crate) circulating: bool,
}

impl Gate {
    pub(crate) fn new(backoff: (Duration, Duration), connect_timeout: Duration, random: fastrand::Rng) -> Self {
        Self { backoff, connect_timeout, trouble: None, ramp: None, growth: 1, ceiling: None, random }
    }

    /// How many more attempts may start now.
    pub(crate) fn allowance(&self, now: Instant, standing: Standing) -> usize {
        let Standing { taken, opening, circulating } = standing;
        if let Some(trouble) = &self.trouble {
            // One probe at a time, when it is due. Attempts that were under way at the first failure may finish first.
            return usize::from(opening == 0 && now >= trouble.retry_at);
        }
        let below_ceiling = self.ceiling.map_or(usize::MAX, |ceiling| ceiling.saturating_sub(taken));
        let at_once = self.ramp.unwrap_or(usize::MAX).min(if circulating { self.growth } else { usize::MAX });
        below_ceiling.min(at_once.saturating_sub(opening))
    }

    /// Is an attempt that began then a probe, which nobody makes a second of?
    pub(crate) fn is_probe(&self, began: Instant) -> bool {
        self.trouble.is_some_and(|trouble| began >= trouble.since)
    }

    /// When the next attempt is due, if one must be waited for.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.trouble.map(|trouble| trouble.retry_at)
    }

    /// Must a caller be refused now, because of a permanent fault?
    pub(crate) fn refuses(&self, now: Instant) -> bool {
        self.trouble.is_some_and(|trouble| trouble.kind == Refusal::Permanent && now < trouble.retry_at)
    }

    /// How long an attempt that starts now may take: a probe starts with one second, doubled each time.
    pub(crate) fn open_limit(&self) -> Duration {
        match &self.trouble {
            Some(trouble) => doubled(FIRST_PROBE, trouble.failures - 1, self.connect_timeout),
            None => self.connect_timeout,
        }
    }

    /// An attempt succeeded; `taken` slots are taken now, this one included.
    pub(crate) fn opened(&mut self, taken: usize, max_size: usize) {
        let was_down = self.trouble.take().is_some_and(|trouble| trouble.kind != Refusal::Capacity);
        if let Some(ceiling) = &mut self.ceiling {
            *ceiling = (*ceiling).max(taken).saturating_add(1);
        }
        self.ceiling = self.ceiling.filter(|&ceiling| ceiling < max_size);
        self.ramp = match self.ramp {
            _ if was_down => Some(1),
            Some(ramp) => Some(ramp * 2).filter(|&ramp| ramp < max_size),
            None => None,
        };
        self.growth = self.growth.saturating_mul(2);
    }

    /// Somebody may have mended what was permanent: the next attempt is due now.
    pub(crate) fn retry_now(&mut self, now: Instant) {
        if let Some(trouble) = self.trouble.as_mut().filter(|trouble| trouble.kind == Refusal::Permanent) {
            trouble.retry_at = trouble.retry_at.min(now);
        }
    }

    /// Nobody waits: growth starts anew.
    pub(crate) fn reset_growth(&mut self) {
        self.growth = 1;
    }

    /// An attempt failed; `open` slots are taken now without it. Returns whether this is the first failure.
    pub(crate) fn failed(&mut self, now: Instant, refusal: Refusal, open: usize) -> bool {
        let before = self.trouble;
        // Attempts that were under way when another failed tell nothing new, unless it is worse.
        if before.is_some_and(|before| now < before.retry_at && before.kind == refusal) {
            return false;
        }
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        let since = before.map_or(now, |before| before.since);
        if refusal == Refusal::Capacity {
            self.ceiling = Some(open.max(1));
        }
        let pause = match refusal {
            Refusal::Permanent => doubled(PERMANENT.0, failures - 1, PERMANENT.1),
            _ => self.pause(failures, now.saturating_duration_since(since)),
        };
        let retry_at = after(now, pause).unwrap_or_else(|| now + AS_GOOD_AS_NEVER);
        self.trouble = Some(Trouble { kind: refusal, since, failures, retry_at });
        before.is_none()
    }

    /// Full jitter: anything from the shortest pause to the back-off, which doubles up to a cap. The cap grows in a
    /// long outage.
    fn pause(&mut self, failures: u32, outage: Duration) -> Duration {
        let (first, largest) = self.backoff;
        let cap = if outage >= LONG_OUTAGE { largest.max(LONG_OUTAGE_PAUSE) } else { largest };
        let backoff = doubled(first, failures - 1, cap);
        let share = self.random.f64();
        SHORTEST_PAUSE + backoff.saturating_sub(SHORTEST_PAUSE).mul_f64(share)
    }
}

/// `first` doubled `times` times, at most `cap`.
fn doubled(first: Duration, times: u32, cap: Duration) -> Duration {
    first.checked_mul(2u32.saturating_pow(times)).unwrap_or(cap).min(cap)
}

/// In place of a pause that ends later than the clock can tell.
const AS_GOOD_AS_NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const FIRST_PROBE: Duration = Duration::from_secs(1);
const LONG_OUTAGE: Duration = Duration::from_secs(30);
const LONG_OUTAGE_PAUSE: Duration = Duration::from_secs(5);
/// Accounts are locked after a few wrong passwords, so these attempts are rare.
const PERMANENT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
