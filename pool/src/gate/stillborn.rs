//! Connections that die as soon as they are open: their server takes log-ins and serves nobody.
//!
//! One may be chance. From the second in a row on they count as failed attempts, and a success lifts nothing until the new
//! connection was found well, by that which the dead ones had failed.

use super::{AS_GOOD_AS_NEVER, Gate, Refusal, Trouble};
use crate::sync::after;
use std::time::{Duration, Instant};

/// What is remembered of them.
#[derive(Debug, Default)]
pub(super) struct Stillborn {
    /// How many in a row.
    count: u32,
    last: Option<Instant>,
    /// Was it a check that they failed, not the first look?
    by_check: bool,
}

impl Stillborn {
    /// May the connection that was opened just now die as the last ones did?
    pub(super) fn may_go_on(&self, now: Instant) -> bool {
        self.count > 0 && self.last.is_some_and(|last| now.saturating_duration_since(last) <= YOUNG)
    }

    pub(super) fn forget(&mut self) {
        self.count = 0;
    }
}

impl Gate {
    /// A connection died that was opened at `opened_at`, before its first loan or at its first check. Those that die together
    /// are one. An opening takes `mean_opening`.
    pub(crate) fn stillborn(&mut self, opened_at: Instant, by_check: bool, mean_opening: Duration, now: Instant) {
        let Stillborn { count, last, .. } = self.stillborn;
        if last.is_some_and(|last| opened_at <= last) {
            return;
        }
        let in_a_row = YOUNG.saturating_add(mean_opening.saturating_mul(2)).saturating_add(self.backoff.1);
        let is_recent = last.is_some_and(|last| now.saturating_duration_since(last) <= in_a_row);
        let count = if is_recent { count.saturating_add(1) } else { 1 };
        self.stillborn = Stillborn { count, last: Some(now), by_check };
        self.cold = true;
        let before = self.trouble;
        // A fault that somebody must mend is the worse one.
        if count < 2 || before.is_some_and(|before| before.kind == Refusal::Permanent) {
            return;
        }
        let since = before.map_or(now, |before| before.since);
        let pause = self.pause(count - 1, now.saturating_duration_since(since));
        let retry_at = after(now, pause).unwrap_or_else(|| now + AS_GOOD_AS_NEVER);
        self.trouble = Some(Trouble {
            kind: Refusal::Unavailable,
            since,
            failures: count - 1,
            overran: before.map_or(0, |before| before.overran),
            retry_at,
            of_stillborn: true,
        });
    }

    /// Did the last connections die young? A new one may, too.
    pub(crate) fn doubts_the_new(&self) -> bool {
        self.stillborn.count > 0
    }

    /// A connection that was on trial, or one as young, was found well: by a check, or else by its borrower. Returns whether that
    /// settles it.
    pub(crate) fn found_well(&mut self, by_check: bool) -> bool {
        if self.stillborn.count > 0 && self.stillborn.by_check && !by_check {
            return false;
        }
        self.stillborn.forget();
        self.trouble = self.trouble.filter(|trouble| !trouble.of_stillborn);
        self.cold = false;
        true
    }
}

/// A connection that dies older than this was well once.
pub(crate) const YOUNG: Duration = Duration::from_secs(1);
