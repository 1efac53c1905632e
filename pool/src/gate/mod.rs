//! May we open a connection now, how many, and if not, what do we tell?
//!
//! One pure piece: back-off, the single probe of an outage, the ramp after it, the ceiling of a full server, the
//! permanent fault, the cold start. It reads no clock and opens nothing. `stillborn.rs` has the connections that die young.

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
    /// Nothing is known of this server yet, or nothing that still holds: one attempt goes first.
    cold: bool,
    stillborn: Stillborn,
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
    /// How many of its probes took longer than they were given.
    overran: u32,
    retry_at: Instant,
    /// It is that new connections die, not that there are none.
    of_stillborn: bool,
}

impl Trouble {
    /// One failure more, of this kind, behind those there were. It still needs a pause.
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
    /// Not reachable, for now.
    Unavailable,
    /// Full.
    Capacity,
    /// Wrong password, no such database.
    Permanent,
}

/// The numbers that the gate's answer depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// Slots that count against `max_size`, the opening ones included.
    pub(crate) taken: usize,
    pub(crate) opening: usize,
    /// Are loans under way, whose connections will come back?
    pub(crate) circulating: bool,
    /// How many are needed though loans come back.
    pub(crate) excess: usize,
    /// How many attempts at the same time this server may be trusted with, by what was heard of it lately.
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

    /// Is there an outage, or another reason to try one at a time and with pauses?
    pub(crate) fn has_trouble(&self) -> bool {
        self.trouble.is_some()
    }

    /// Since when.
    pub(crate) fn trouble_since(&self) -> Option<Instant> {
        self.trouble.map(|trouble| trouble.since)
    }

    /// What keeps new connections away, and how many attempts in a row failed for it.
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

    /// Does nobody reach the server? Time alone may end that; a wrong password must be mended, and is better not tried again unasked.
    #[inline]
    pub(crate) fn is_outage(&self) -> bool {
        self.trouble.is_some_and(|trouble| trouble.kind == Refusal::Unavailable)
    }

    /// Does one attempt go first?
    pub(crate) fn is_cold(&self) -> bool {
        self.cold
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

    /// How long an attempt that starts now may take. A probe has twice the longest that an opening took lately, a second at
    /// least, and twice as long after each that overran. Where none ever succeeded there is no estimate.
    pub(crate) fn open_limit(&self, longest: Option<Duration>) -> Duration {
        match (&self.trouble, longest) {
            (Some(trouble), Some(longest)) => {
                doubled(longest.saturating_mul(2).max(SHORTEST_PROBE), trouble.overran, self.connect_timeout)
            }
            _ => self.connect_timeout,
        }
    }

    /// An attempt succeeded; `taken` slots are taken now, this one included. Returns whether the new connection is on trial:
    /// it must be found well before others are opened beside the next.
    pub(crate) fn opened(&mut self, now: Instant, taken: usize, max_size: usize, somebody_waits: bool) -> bool {
        self.growth = self.growth.saturating_mul(2);
        if let Some(ceiling) = &mut self.ceiling {
            *ceiling = (*ceiling).max(taken).saturating_add(1);
        }
        self.ceiling = self.ceiling.filter(|&ceiling| ceiling < max_size);
        if self.stillborn.may_go_on(now) {
            if let Some(trouble) = &mut self.trouble {
                // There are connections again. Whether they live is all that is doubtful now.
                (trouble.kind, trouble.of_stillborn) = (Refusal::Unavailable, true);
                trouble.retry_at = after(now, self.backoff.1).unwrap_or_else(|| now + AS_GOOD_AS_NEVER);
            }
            return true;
        }
        self.stillborn.forget();
        let before = self.trouble.take().map(|trouble| trouble.kind);
        self.ramp = match self.ramp {
            // What was permanent is mended: one goes first, and then there is no need to be careful.
            _ if before == Some(Refusal::Permanent) => None,
            _ if before == Some(Refusal::Unavailable) => Some(1),
            Some(ramp) => Some(ramp * 2).filter(|&ramp| ramp < max_size),
            None => None,
        };
        // If nobody waits, nobody will look at it soon.
        self.cold &= somebody_waits;
        self.cold
    }

    /// All that was known of the server may hold no longer: one attempt goes first. What was permanent may have been mended,
    /// so the next attempt is due now.
    pub(crate) fn start_anew(&mut self, now: Instant) {
        self.cold = true;
        if let Some(trouble) = self.trouble.as_mut().filter(|trouble| trouble.kind == Refusal::Permanent) {
            // Not by the time alone: a thread that looked at the clock before this one may come after it.
            (trouble.kind, trouble.retry_at) = (Refusal::Unavailable, trouble.retry_at.min(now));
        }
    }

    /// Nobody waits: growth starts anew.
    pub(crate) fn reset_growth(&mut self) {
        self.growth = 1;
    }

    /// An attempt failed; `open` slots are taken now without it. Returns whether this is the first failure.
    pub(crate) fn failed(&mut self, now: Instant, refusal: Refusal, open: usize) -> bool {
        let before = self.trouble;
        // Attempts that were under way when another failed add nothing, unless their failure is worse.
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

    /// An attempt that began then took longer than it was given. Returns whether this is the first failure.
    pub(crate) fn overran(&mut self, began: Instant, now: Instant, open: usize) -> bool {
        let was_probe = self.is_probe(began);
        let first = self.failed(now, Refusal::Unavailable, open);
        if let Some(trouble) = self.trouble.as_mut().filter(|_| was_probe) {
            trouble.overran = trouble.overran.saturating_add(1);
        }
        first
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
const SHORTEST_PROBE: Duration = Duration::from_secs(1);
const LONG_OUTAGE: Duration = Duration::from_secs(30);
const LONG_OUTAGE_PAUSE: Duration = Duration::from_secs(5);
/// Accounts are locked after a few wrong passwords, so these attempts are rare.
const PERMANENT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
