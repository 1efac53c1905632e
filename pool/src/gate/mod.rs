//! Decides whether a connection may be opened now, how many, and if not, what the obstacle is.
//!
//! Pure: back-off, the single probe of an outage, the ramp after it, the ceiling of a full server, the permanent fault, the cold start.
//! It reads no clock and opens nothing. `stillborn.rs` has the connections that die young.

mod stillborn;
#[cfg(test)]
mod tests;

pub(crate) use stillborn::{BRIEF, Stage, YOUNG};

use crate::config::SHORTEST_PAUSE;
use crate::gate::stillborn::Stillborn;
use crate::overview::Obstacle;
use crate::sync::after;
use std::time::{Duration, Instant};

pub(crate) struct Gate {
    /// The first and the largest pause.
    backoff: (Duration, Duration),
    connect_timeout: Duration,
    trouble: Option<Trouble>,
    /// There is no valid information about this server: one attempt goes first.
    cold: bool,
    stillborn: Stillborn,
    /// How many may be opened at the same time after an outage. Each success doubles it; at `max_size` the bound ends.
    ramp: Option<usize>,
    /// How many may be opened at the same time while loans are out, so that a burst that the present connections can serve does not open
    /// more. Each success doubles it; it is 1 again when no request waits.
    growth: usize,
    /// How many sessions a full server has for this pool, as far as it has shown.
    ceiling: Option<usize>,
    random: fastrand::Rng,
}

/// The obstacle to new connections, since when there is one, and when to try again.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    kind: Refusal,
    since: Instant,
    failures: u32,
    /// How many of its probes overran.
    overran: u32,
    retry_at: Instant,
    /// New connections can be opened, but die.
    of_stillborn: bool,
}

impl Trouble {
    /// One more failure, of this kind, after those before. It still needs a pause.
    fn behind(before: Option<Self>, kind: Refusal, now: Instant) -> Self {
        let first = Self { kind, since: now, failures: 0, overran: 0, retry_at: now, of_stillborn: false };
        let before = before.unwrap_or(first);
        Self { kind, failures: before.failures.saturating_add(1), of_stillborn: false, ..before }
    }

    fn until(self, now: Instant, pause: Duration) -> Self {
        Self { retry_at: after(now, pause).unwrap_or_else(|| now + AS_GOOD_AS_NEVER), ..self }
    }
}

/// Why an attempt to connect failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not reachable at present.
    Unavailable,
    /// The server is full.
    Capacity,
    /// A wrong password, no such database.
    Permanent,
}

/// The numbers on which the gate's answer depends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// Slots that count against `max_size`, including those being opened.
    pub(crate) taken: usize,
    pub(crate) opening: usize,
    /// Whether connections are in use and will return.
    pub(crate) circulating: bool,
    /// How many are needed even though loans return.
    pub(crate) excess: usize,
    /// How many attempts at the same time this server can be trusted with, by its recent signs of life.
    pub(crate) trust: usize,
}

impl Gate {
    pub(crate) fn new(backoff: (Duration, Duration), connect_timeout: Duration, random: fastrand::Rng) -> Self {
        let stillborn = Stillborn::default();
        Self {
            backoff,
            connect_timeout,
            trouble: None,
            cold: true,
            stillborn,
            ramp: None,
            growth: 1,
            ceiling: None,
            random,
        }
    }

    /// How many more attempts may start now.
    pub(crate) fn allowance(&self, now: Instant, standing: Standing) -> usize {
        let Standing { taken, opening, circulating, excess, trust } = standing;
        if let Some(trouble) = &self.trouble {
            // One probe at a time, when it is due. Attempts that were under way at the first failure may finish first.
            return usize::from(opening == 0 && now >= trouble.retry_at);
        }
        let below_ceiling = self.ceiling.map_or(usize::MAX, |ceiling| ceiling.saturating_sub(taken));
        let growth = if circulating { self.growth.max(excess) } else { usize::MAX };
        let at_once = if self.cold { 1 } else { self.ramp.unwrap_or(usize::MAX).min(growth).min(trust) };
        below_ceiling.min(at_once.saturating_sub(opening))
    }

    /// Whether there is an outage, or another reason to make one attempt at a time, with pauses.
    pub(crate) fn has_trouble(&self) -> bool {
        self.trouble.is_some()
    }

    /// When the trouble began.
    pub(crate) fn trouble_since(&self) -> Option<Instant> {
        self.trouble.map(|trouble| trouble.since)
    }

    /// The obstacle to new connections, and how many attempts in a row have failed at it.
    pub(crate) fn obstacle(&self) -> Option<(Obstacle, u32)> {
        let Trouble { kind, failures, of_stillborn, .. } = self.trouble?;
        let obstacle = match kind {
            _ if of_stillborn => Obstacle::ShortLived,
            Refusal::Unavailable => Obstacle::Unavailable,
            Refusal::Capacity => Obstacle::Full,
            Refusal::Permanent => Obstacle::Refused,
        };
        Some((obstacle, failures))
    }

    /// Whether the server is out of reach. Time alone may end that. A wrong password must be corrected, and is better not tried again
    /// unasked.
    #[inline]
    pub(crate) fn is_outage(&self) -> bool {
        self.trouble.is_some_and(|trouble| trouble.kind == Refusal::Unavailable)
    }

    /// Whether a single attempt must go first.
    pub(crate) fn is_cold(&self) -> bool {
        self.cold
    }

    /// Whether the attempt begun at that time is the only probe.
    pub(crate) fn is_probe(&self, began: Instant) -> bool {
        self.trouble.is_some_and(|trouble| began >= trouble.since)
    }

    /// When the next attempt is due, if there is a pause.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.trouble.map(|trouble| trouble.retry_at)
    }

    /// Whether a caller must be refused now, because of a permanent fault.
    pub(crate) fn refuses(&self, now: Instant) -> bool {
        self.trouble.is_some_and(|trouble| trouble.kind == Refusal::Permanent && now < trouble.retry_at)
    }

    /// How long an attempt that starts now may take. A probe has twice the longest recent opening, at least a second, and twice as long
    /// after each probe that overran. If no attempt ever succeeded, there is no estimate.
    pub(crate) fn open_limit(&self, longest: Option<Duration>) -> Duration {
        match (&self.trouble, longest) {
            (Some(trouble), Some(longest)) => {
                doubled(longest.saturating_mul(2).max(SHORTEST_PROBE), trouble.overran, self.connect_timeout)
            }
            _ => self.connect_timeout,
        }
    }

    /// An attempt succeeded. `taken` slots are taken now, this one included. Returns whether the new connection is on trial: it must
    /// prove well before others are opened beside the next.
    pub(crate) fn opened(&mut self, now: Instant, taken: usize, max_size: usize, somebody_waits: bool) -> bool {
        self.growth = self.growth.saturating_mul(2);
        if let Some(ceiling) = &mut self.ceiling {
            *ceiling = (*ceiling).max(taken).saturating_add(1);
        }
        self.ceiling = self.ceiling.filter(|&ceiling| ceiling < max_size);
        if self.stillborn.may_go_on(now) {
            if let Some(trouble) = &mut self.trouble {
                // There are connections again. Only their survival is uncertain now.
                (trouble.kind, trouble.of_stillborn) = (Refusal::Unavailable, true);
                trouble.retry_at = after(now, self.backoff.1).unwrap_or_else(|| now + AS_GOOD_AS_NEVER);
            }
            return true;
        }
        self.stillborn.forget();
        let before = self.trouble.take().map(|trouble| trouble.kind);
        self.ramp = match self.ramp {
            // The permanent fault is fixed: one attempt goes first, and then there is no need for caution.
            _ if before == Some(Refusal::Permanent) => None,
            _ if before == Some(Refusal::Unavailable) => Some(1),
            Some(ramp) => Some(ramp * 2).filter(|&ramp| ramp < max_size),
            None => None,
        };
        // If no request waits, no borrower will look at it soon.
        self.cold &= somebody_waits;
        self.cold
    }

    /// The information about the server may be outdated: one attempt goes first. A permanent fault may have been fixed, so the next
    /// attempt is due now.
    pub(crate) fn start_anew(&mut self, now: Instant) {
        self.cold = true;
        if let Some(trouble) = self.trouble.as_mut().filter(|trouble| trouble.kind == Refusal::Permanent) {
            // Time alone does not suffice: a thread that read the clock before this one may come after it.
            (trouble.kind, trouble.retry_at) = (Refusal::Unavailable, trouble.retry_at.min(now));
        }
    }

    /// No request waits: growth starts again.
    pub(crate) fn reset_growth(&mut self) {
        self.growth = 1;
    }

    /// An attempt failed. `open` connections are open. Returns whether this is the first failure.
    pub(crate) fn failed(&mut self, now: Instant, refusal: Refusal, open: usize) -> bool {
        let before = self.trouble;
        // Attempts that were under way when another failed add nothing, unless they fail for another reason.
        if before.is_some_and(|before| now < before.retry_at && before.kind == refusal) {
            return false;
        }
        let trouble = Trouble::behind(before, refusal, now);
        self.cold |= refusal == Refusal::Permanent;
        if refusal == Refusal::Capacity {
            self.ceiling = Some(open.max(1));
        }
        let pause = match refusal {
            Refusal::Permanent => doubled(PERMANENT.0, trouble.failures - 1, PERMANENT.1),
            _ => self.pause(trouble.failures, now.saturating_duration_since(trouble.since)),
        };
        self.trouble = Some(trouble.until(now, pause));
        before.is_none()
    }

    /// An attempt that began then overran. Returns whether this is the first failure.
    pub(crate) fn overran(&mut self, began: Instant, now: Instant, open: usize) -> bool {
        let was_probe = self.is_probe(began);
        let first = self.failed(now, Refusal::Unavailable, open);
        if let Some(trouble) = self.trouble.as_mut().filter(|_| was_probe) {
            trouble.overran = trouble.overran.saturating_add(1);
        }
        first
    }

    /// Full jitter: anything from the shortest pause to the back-off, which doubles up to a cap. The cap is higher in a long outage.
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

/// Stands for a pause that ends beyond the range of the clock.
const AS_GOOD_AS_NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const SHORTEST_PROBE: Duration = Duration::from_secs(1);
const LONG_OUTAGE: Duration = Duration::from_secs(30);
const LONG_OUTAGE_PAUSE: Duration = Duration::from_secs(5);
/// Accounts are locked after a few wrong passwords, so these attempts are rare.
const PERMANENT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
