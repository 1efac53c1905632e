//! The book: the facts about each connection and the server, kept separately from the state, in the simplest form.

use crate::config::Config;
use crate::gate::Refusal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Clone)]
pub(super) struct Book {
    /// Every open connection, by its id.
    pub(super) alive: BTreeMap<u64, Facts>,
    /// How often all connections became doubtful.
    pub(super) doubts: u64,
    pub(super) evictions: u64,
    pub(super) closed: bool,
    /// When the clocks were last compared, and their readings.
    pub(super) clocks: (Instant, Duration),
    pub(super) trouble: Option<Trouble>,
    /// No failure so far. After a failure, growth is held back for a while.
    pub(super) untroubled: bool,
    /// When a check or a reset was last answered or a loan last ended well, and when an attempt to connect last succeeded.
    pub(super) answered_at: Option<Instant>,
    pub(super) opened_at: Option<Instant>,
    /// Whether a request is under way that does not wait.
    pub(super) tried: bool,
    pub(super) opened: u64,
    pub(super) open_failures: u64,
    /// Tasks that were dropped while waiting, and tasks that timed out.
    pub(super) cancelled: u64,
    pub(super) timed_out: u64,
}

/// The facts about one connection.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) evictions: u64,
    pub(super) expires: Option<Instant>,
    pub(super) proved_at: Instant,
    /// The number of doubts before its last proof.
    pub(super) proved_after: u64,
    pub(super) last_used: Instant,
    pub(super) condemned: bool,
    /// A borrower's look will find it dead.
    pub(super) dead: bool,
    pub(super) lent_at: Instant,
    pub(super) leak_reported: bool,
}

/// An outage, with the time of the next attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    pub(super) kind: Refusal,
    pub(super) since: Instant,
    pub(super) failures: u32,
    pub(super) retry_at: Instant,
    /// Attempts from this number on began after the first failure.
    pub(super) first_probe: u64,
    /// Connections open, but die young.
    pub(super) of_stillborn: bool,
}

impl Book {
    pub(super) fn new(now: Instant, wall: Duration) -> Self {
        Self {
            alive: BTreeMap::new(),
            doubts: 0,
            evictions: 0,
            closed: false,
            clocks: (now, wall),
            trouble: None,
            untroubled: true,
            answered_at: None,
            opened_at: None,
            tried: false,
            opened: 0,
            open_failures: 0,
            cancelled: 0,
            timed_out: 0,
        }
    }

    pub(super) fn facts(&mut self, id: u64) -> &mut Facts {
        self.alive.get_mut(&id).expect("the connection is open")
    }

    pub(super) fn lent(&mut self, id: u64, now: Instant) {
        let facts = self.facts(id);
        (facts.lent_at, facts.leak_reported) = (now, false);
    }

    /// The reason why this connection must not be lent now, if there is one.
    pub(super) fn flaw(&self, id: u64, now: Instant, config: &Config) -> Option<&'static str> {
        let Some(facts) = self.alive.get(&id) else { return Some("closed") };
        if facts.condemned {
            Some("condemned")
        } else if facts.evictions != self.evictions {
            Some("evicted")
        } else if facts.expires.is_some_and(|at| at <= now) {
            Some("expired")
        } else if facts.proved_after != self.doubts {
            Some("suspect")
        } else if now - facts.proved_at > config.check_after {
            Some("stale")
        } else {
            None
        }
    }

    /// A connection is dead. If it was above suspicion, all others come under it now.
    pub(super) fn died(&mut self, id: u64) {
        if self.alive[&id].proved_after == self.doubts {
            self.doubts += 1;
        }
    }

    /// Compares the clocks: whether they have drifted apart by more than a second.
    pub(super) fn compare(&mut self, now: Instant, wall: Duration) -> bool {
        if now <= self.clocks.0 {
            return false;
        }
        let (then, wall_then) = std::mem::replace(&mut self.clocks, (now, wall));
        let nanos = |span: Duration| span.as_nanos() as i128;
        let wall_passed = nanos(wall) - nanos(wall_then);
        let jumped = (wall_passed - nanos(now - then)).abs() > 1_000_000_000 || wall_passed < 0;
        self.doubts += u64::from(jumped);
        jumped
    }

    /// An attempt to connect failed; the state will retry at `retry_at`.
    pub(super) fn failed(&mut self, kind: Refusal, now: Instant, retry_at: Instant, attempts: u64) {
        self.open_failures += 1;
        self.untroubled = false;
        let Some(before) = self.trouble else {
            self.doubts += u64::from(kind == Refusal::Unavailable);
            let (since, of_stillborn) = (now, false);
            self.trouble = Some(Trouble { kind, since, failures: 1, retry_at, first_probe: attempts, of_stillborn });
            return self.check_pause(now);
        };
        if before.kind == kind && now < before.retry_at {
            assert_eq!(retry_at, before.retry_at, "attempts that fail together count once");
            return;
        }
        let failures = before.failures + 1;
        self.trouble = Some(Trouble { kind, failures, retry_at, of_stillborn: false, ..before });
        self.check_pause(now);
    }

    /// A connection died, and there is now an outage, possibly because it was young.
    pub(super) fn stillborn(&mut self, retry_at: Instant, now: Instant, attempts: u64) {
        let before = self.trouble;
        if before.is_some_and(|before| before.retry_at == retry_at) {
            return;
        }
        assert!(before.is_none_or(|before| before.kind != Refusal::Permanent), "a worse fault is not overwritten");
        let failures = before.map_or(1, |before| before.failures + 1);
        let (since, first_probe) = before.map_or((now, attempts), |before| (before.since, before.first_probe));
        let kind = Refusal::Unavailable;
        self.trouble = Some(Trouble { kind, since, failures, retry_at, first_probe, of_stillborn: true });
        self.untroubled = false;
        self.check_pause(now);
    }

    pub(super) fn proved(&mut self, id: u64, now: Instant) {
        let doubts = self.doubts;
        let facts = self.facts(id);
        (facts.proved_at, facts.proved_after) = (now, doubts);
        self.answered_at = Some(now);
    }

    /// An eviction: the cause of a permanent fault may have been fixed.
    pub(super) fn retry_now(&mut self, now: Instant) {
        if let Some(trouble) = self.trouble.as_mut().filter(|trouble| trouble.kind == Refusal::Permanent) {
            (trouble.kind, trouble.retry_at) = (Refusal::Unavailable, trouble.retry_at.min(now));
        }
    }

    /// Asserts that the pause before the next attempt is neither too short nor too long.
    fn check_pause(&self, now: Instant) {
        let Some(trouble) = self.trouble else { return };
        let doubled = |first: u64, most: u64| {
            let factor = 1u64 << (trouble.failures - 1).min(20);
            Duration::from_millis((first * factor).min(most))
        };
        let long = now - trouble.since >= Duration::from_secs(30);
        let pause = trouble.retry_at - now;
        if trouble.kind == Refusal::Permanent {
            assert_eq!(pause, doubled(1_000, 30_000));
        } else {
            assert!(pause >= Duration::from_millis(10), "a pause of {pause:?}");
            assert!(pause <= doubled(50, if long { 5_000 } else { 500 }), "a pause of {pause:?}: {trouble:?}");
        }
    }
}
