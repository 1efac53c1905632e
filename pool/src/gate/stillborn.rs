//! Connections that die young: their server accepts log-ins, but serves no sessions.
//!
//! One may be chance. From the second in a row on they count as failed attempts, and no success ends that until a new connection has
//! passed the stage at which the dead ones failed.

use super::{Gate, Refusal, Trouble};
use crate::sync::after;
use std::time::{Duration, Instant};

/// The stage at which a young connection dies or proves well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The look before its first loan.
    Look,
    /// `on_checkout` before its first loan.
    Checkout,
    /// Its first loan, or very soon after it, without having been used.
    Hold,
    /// The same, having been used.
    Use,
    /// A check.
    Check,
    /// A reset of its session.
    Reset,
}

/// The deaths at each stage.
#[derive(Debug, Default)]
pub(super) struct Stillborn {
    rows: [Row; 6],
    last: Option<Instant>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Row {
    /// How many in a row.
    count: u32,
    /// A connection opened by then may continue the row.
    goes_on_until: Option<Instant>,
    /// How old the last one was.
    age: Duration,
}

impl Row {
    fn may_go_on(&self, opened_at: Instant) -> bool {
        self.count > 0 && self.goes_on_until.is_some_and(|until| opened_at <= until)
    }
}

impl Stillborn {
    /// Whether the connection that was opened then may die as the last ones did.
    pub(super) fn may_go_on(&self, opened_at: Instant) -> bool {
        self.rows.iter().any(|row| row.may_go_on(opened_at))
    }

    pub(super) fn forget(&mut self) {
        self.rows.iter_mut().for_each(|row| row.count = 0);
    }

    fn is_empty(&self) -> bool {
        self.rows.iter().all(|row| row.count == 0)
    }

    /// A connection of this age has passed `stage`, and therefore the look, too; if it was held, it had passed `on_checkout`, and if it
    /// was used, it was held. A short loan that ends well shows nothing if connections live longer than it, but not long.
    fn passed(&mut self, stage: Stage, age: Duration) {
        let outlives = |row: &Row| age >= row.age.saturating_mul(2).min(BRIEF);
        let shown: &[Stage] = match stage {
            Stage::Look => &[Stage::Look],
            Stage::Checkout => &[Stage::Look, Stage::Checkout],
            Stage::Hold => &[Stage::Look, Stage::Checkout, Stage::Hold],
            Stage::Use => &[Stage::Look, Stage::Checkout, Stage::Hold, Stage::Use],
            Stage::Check => &[Stage::Look, Stage::Check],
            Stage::Reset => &[Stage::Look, Stage::Reset],
        };
        for &stage in shown {
            let row = &mut self.rows[stage as usize];
            if !matches!(stage, Stage::Hold | Stage::Use) || outlives(row) {
                row.count = 0;
            }
        }
    }
}

impl Gate {
    /// A connection that was opened at `opened_at` died at this stage. Those that die together count as one. An opening takes
    /// `mean_opening`.
    pub(crate) fn stillborn(&mut self, opened_at: Instant, stage: Stage, mean_opening: Duration, now: Instant) {
        if self.stillborn.last.is_some_and(|last| opened_at <= last) {
            return;
        }
        self.stillborn.last = Some(now);
        let row = &self.stillborn.rows[stage as usize];
        let count = if row.may_go_on(opened_at) { row.count.saturating_add(1) } else { 1 };
        self.cold = true;
        let before = self.trouble;
        // A fault that must be fixed is the worse one.
        if count >= 2 && before.is_none_or(|before| before.kind != Refusal::Permanent) {
            let trouble = Trouble { of_stillborn: true, ..Trouble::behind(before, Refusal::Unavailable, now) };
            let pause = self.pause(count - 1, now.saturating_duration_since(trouble.since));
            self.trouble = Some(trouble.until(now, pause));
        }
        // A time in which nothing could be opened does not indicate how later openings will do.
        let next = self.retry_at().map_or(now, |retry_at| retry_at.max(now));
        let goes_on_until = after(next, YOUNG.saturating_add(mean_opening.saturating_mul(2)));
        let age = now.saturating_duration_since(opened_at);
        self.stillborn.rows[stage as usize] = Row { count, goes_on_until, age };
    }

    /// Whether the last connections died young, and a new one may, too.
    pub(crate) fn doubts_the_new(&self) -> bool {
        !self.stillborn.is_empty()
    }

    /// A connection that is on trial, or young, has passed this stage at this age. Returns whether that ends the doubt.
    pub(crate) fn found_well(&mut self, stage: Stage, age: Duration) -> bool {
        self.stillborn.passed(stage, age);
        if !self.stillborn.is_empty() {
            return false;
        }
        self.trouble = self.trouble.filter(|trouble| !trouble.of_stillborn);
        self.cold = false;
        true
    }
}

/// A connection that dies older than this was well once.
pub(crate) const YOUNG: Duration = Duration::from_secs(1);
/// One that dies younger than this was of no use, even if loans of it ended well.
pub(crate) const BRIEF: Duration = Duration::from_millis(50);
