//! A connection, and what the pool remembers of it. It travels in a `Box`: one pointer, wherever it goes.

use crate::manager::AbortHandle;
use crate::reason::CloseReason;
use crate::slots::SlotId;
use crate::sync::AtomicBool;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct Entry<C> {
    /// The connection, with what else travels along. The state never looks at it.
    pub(crate) slotted: C,
    pub(crate) id: u64,
    /// The slot that this connection fills, for as long as it lives.
    pub(crate) slot_id: SlotId,
    pub(crate) abort_handle: Option<Arc<dyn AbortHandle>>,
    pub(crate) opened_at: Instant,
    /// Jittered when it was opened; `None` means never.
    pub(crate) expires: Option<Instant>,
    /// When the last loan ended (or the connection was opened). Counts for `idle_timeout`.
    pub(crate) last_used: Instant,
    /// When the present loan began.
    pub(crate) lent_at: Instant,
    /// When the server last answered: at opening or check. A reset may not have asked it.
    pub(crate) proved: Proof,
    /// Until when that is good enough for a loan; `None` means for ever.
    pub(crate) fresh_until: Option<Instant>,
    /// The generation it belongs to; an older one than the pool's is evicted.
    pub(crate) generation: u64,
    pub(crate) uses: u64,
    /// Has the holder reached for the connection? If not, its session is as it was.
    pub(crate) touched: AtomicBool,
    /// Had the holder of the loan that ended reached for it?
    pub(crate) was_touched: bool,
    /// New, and not found well yet: the server may let in what it does not serve.
    pub(crate) on_trial: bool,
    /// New, and asked a question before anybody has it, to show that the server answers.
    pub(crate) is_asked: bool,
    /// There was something to say of its server when it was last asked.
    pub(crate) remarked: bool,
    /// Why it must not be used again, if so.
    pub(crate) condemned: Option<CloseReason>,
    /// How long its last loan was, if `checked_in` has not been emitted for it.
    pub(crate) untold: Option<Duration>,
}

/// When a connection was last proved alive, and in which epoch of suspicion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) at: Instant,
    pub(crate) epoch: u64,
}

impl<C> Entry<C> {
    /// Just opened, and not admitted yet.
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
            on_trial: false,
            is_asked: false,
            remarked: false,
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
