//! Connections that die young: their server takes log-ins, and serves nobody.
//!
//! One may be chance. From the second in a row on they count as failed attempts, and a success lifts nothing until a new
//! connection has passed the stage at which the dead ones failed.

use super::{Gate, Refusal, Trouble};
use crate::sync::after;
use std::time::{Duration, Instant};

/// At which stage a young connection dies, or proves well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// When it is looked at before its first loan.
    Look,
    /// When `on_checkout` sees it before its first loan.
    Checkout,
    /// In its first loan, or very soon after it, though its holder did not use it.
    Hold,
    /// The same, and its holder did.
    Use,
    /// When the server is asked for a sign of life.
    Check,
    /// When its session is reset.
    Reset,
}

/// What is remembered of them: a row of deaths for each stage.
#[derive(Debug, Default)]
pub(super) struct Stillborn {
    rows: [Row; 6],
    last: Option<Instant>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Row {
    /// How many in a row.
    count: u32,
    /// One that is opened by then may go on with it.
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
    /// May the connection that was opened at this moment die as the last ones did?
    pub(super) fn may_go_on(&self, opened_at: Instant) -> bool {
        self.rows.iter().any(|row| row.may_go_on(opened_at))
    }

    pub(super) fn forget(&mut self) {
        self.rows.iter_mut().for_each(|row| row.count = 0);
    }

    fn is_empty(&self) -> bool {
        self.rows.iter().all(|row| row.count == 0)
    }

    /// A connection of this age has passed `stage`, so it had passed the look, too; one that was held had passed `on_checkout`, and one
    /// that was used was held. A short loan that ends well shows nothing where connections live longer than it, and not long.
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
    /// A connection died at this stage that was opened at `opened_at`. Those that die together are one. An opening takes
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
        // A fault that somebody must mend is the worse one.
        if count >= 2 && before.is_none_or(|before| before.kind != Refusal::Permanent) {
            let trouble = Trouble { of_stillborn: true, ..Trouble::behind(before, Refusal::Unavailable, now) };
            let pause = self.pause(count - 1, now.saturating_duration_since(trouble.since));
            self.trouble = Some(trouble.until(now, pause));
        }
        // A time in which nothing could be opened says nothing of what is opened after it.
        let next = self.retry_at().map_or(now, |retry_at| retry_at.max(now));
        let goes_on_until = after(next, YOUNG.saturating_add(mean_opening.saturating_mul(2)));
        let age = now.saturating_duration_since(opened_at);
        self.stillborn.rows[stage as usize] = Row { count, goes_on_until, age };
    }

    /// Did the last connections die young, so that a new one may, too?
    pub(crate) fn doubts_the_new(&self) -> bool {
        !self.stillborn.is_empty()
    }

    /// A connection that was on trial, or one as young, has passed this stage at this age. Returns whether that settles it.
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
/// One that dies younger than this was of no use, though loans of it may have ended well.
pub(crate) const BRIEF: Duration = Duration::from_millis(50);
