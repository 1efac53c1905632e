//! A connection, and what the pool records of it. It travels in a `Box`: one pointer, wherever it goes.

use crate::caches::Version;
use crate::histogram::nanos;
use crate::manager::AbortHandle;
use crate::meter::{Borrower, Meter};
use crate::reason::CloseReason;
use crate::seeded;
use crate::slots::SlotId;
use crate::sync::AtomicBool;
use crossbeam_utils::CachePadded;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct Entry<C> {
    /// The connection, and what else travels with it. The state never looks at it.
    pub(crate) slotted: C,
    pub(crate) id: u64,
    /// The slot that this connection fills as long as it lives.
    pub(crate) slot_id: SlotId,
    pub(crate) abort_handle: Option<Arc<dyn AbortHandle>>,
    pub(crate) opened_at: Instant,
    /// Jittered at its opening; `None` means never.
    pub(crate) expires: Option<Instant>,
    /// When the last loan ended (or the connection was opened). Counts for `idle_timeout`.
    pub(crate) last_used: Instant,
    /// When the present loan began.
    pub(crate) lent_at: Instant,
    /// When the server last answered: at opening or at a check. A reset may have made no round trip.
    pub(crate) proved: Proof,
    /// Until when that suffices for a loan; `None` means without end.
    pub(crate) fresh_until: Option<Instant>,
    /// Its generation. If it is older than the pool's, the connection is evicted.
    pub(crate) generation: u64,
    pub(crate) uses: u64,
    /// Whether the holder has accessed the connection. If not, its session is unchanged.
    pub(crate) touched: AtomicBool,
    /// Whether the holder of the loan that ended accessed it.
    pub(crate) was_touched: bool,
    /// Its session needed a reset after its last loan.
    pub(crate) was_soiled: bool,
    /// New, and not proved well yet: the server may admit a session that it does not serve.
    pub(crate) on_trial: bool,
    /// New, and checked before its first loan, to show whether the server answers.
    pub(crate) is_asked: bool,
    /// It must not be used again, and is checked to find out whether it is dead.
    pub(crate) in_doubt: Option<Question>,
    /// There was a remark on its server when it was last opened or checked.
    pub(crate) remarked: bool,
    /// It may be parked at the end of its loan.
    pub(crate) permit: Option<Permit>,
    /// Why it must not be used again, if so.
    pub(crate) condemned: Option<CloseReason>,
    /// How long its last loan took, if `checked_in` has not been emitted for it.
    pub(crate) untold: Option<Duration>,
}

/// A thread whose loans begin no further apart than this is busy. A slower one would save less than a thousandth of its time by a cell.
pub(crate) const BUSY: Duration = Duration::from_micros(500);

/// When a connection was last proved alive, and in which epoch of suspicion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) at: Instant,
    pub(crate) epoch: u64,
}

/// The suspicion that a connection in doubt has raised: the needed epoch before it and since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) needed_before: u64,
    pub(crate) needed_since: u64,
}

/// Allows a connection to rest in its thread's cell between loans, as long as the cells have the version in which it was given.
pub(crate) struct Permit {
    pub(crate) version: Version,
    /// Until when the connection may be lent without a check. This and the other times are in the meter's ticks.
    pub(crate) good_until: u64,
    /// When the loan began, and when the last one ended.
    pub(crate) lent_at: u64,
    pub(crate) parked_at: u64,
    /// Counts its loans.
    pub(crate) meter: Arc<CachePadded<Meter>>,
}

impl Permit {
    /// Whether the connection may be parked, or lent from its cell, at this time.
    #[inline]
    pub(crate) fn holds(&self, version: Version, now: u64) -> bool {
        self.version == version && now < self.good_until
    }

    /// Whether the connection may stay where it is parked.
    pub(crate) fn may_stay(&self, version: Version, now: Instant) -> bool {
        if self.version != version && seeded::bug("lets_what_is_late_stay") {
            return true;
        }
        let now = self.meter.ticks(now);
        self.holds(version, now) && !self.has_rested(now)
    }

    /// Whether it has been parked for longer than between two loans of a busy thread.
    #[inline]
    fn has_rested(&self, now: u64) -> bool {
        now.saturating_sub(self.parked_at) > BUSY.as_nanos() as u64
    }

    /// Begins a loan of the parked connection, unless it has rested too long.
    #[inline]
    pub(crate) fn begin(&mut self, version: Version, now: Instant, borrower: Borrower) -> bool {
        let now = self.meter.ticks(now);
        let is_blind = seeded::bug("lends_what_is_parked_in_any_version");
        if !(is_blind || self.holds(version, now)) || self.has_rested(now) {
            return false;
        }
        self.lent_at = now;
        self.meter.begin(now, borrower);
        true
    }

    /// Ends the loan, which took `used`, if the connection may be parked.
    #[inline]
    pub(crate) fn end(&mut self, version: Version, used: Duration, touched: bool) -> bool {
        let used = nanos(used);
        let now = self.lent_at + used;
        if !self.holds(version, now) || self.meter.is_full() {
            return false;
        }
        self.parked_at = now;
        self.meter.end(used, touched, now);
        true
    }
}

impl<C> Entry<C> {
    /// A connection that was just opened, and is not admitted yet.
    pub(crate) fn new(
        slot_id: SlotId,
        slotted: C,
        abort_handle: Option<Arc<dyn AbortHandle>>,
        generation: u64,
        now: Instant,
    ) -> Self {
        Self {
            slotted,
            id: 0,
            slot_id,
            abort_handle,
            opened_at: now,
            expires: None,
            last_used: now,
            lent_at: now,
            proved: Proof { at: now, epoch: 0 },
            fresh_until: None,
            generation,
            uses: 0,
            touched: AtomicBool::new(false),
            was_touched: false,
            was_soiled: false,
            on_trial: false,
            is_asked: false,
            in_doubt: None,
            remarked: false,
            permit: None,
            condemned: None,
            untold: None,
        }
    }

    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened_at)
    }

    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}
