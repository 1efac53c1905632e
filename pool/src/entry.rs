//! A connection and what the pool knows of it. It travels as a `Box<Entry>`: one pointer, wherever it goes. What it carries
//! beside that knowledge is for `shared` to say; the state never looks at it.

use crate::manager::Line;
use crate::reason::CloseReason;
use crate::slots::SlotId;
use crate::sync::AtomicBool;
use std::sync::Arc;
use std::time::Instant;

pub(crate) struct Entry<C> {
    pub(crate) cab: C,
    pub(crate) id: u64,
    /// The slot that this connection fills, for as long as it lives.
    pub(crate) slot: SlotId,
    pub(crate) line: Option<Arc<dyn Line>>,
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
    /// The epoch in which the check that runs was asked for.
    pub(crate) asked: u64,
    /// The generation it belongs to; an older one than the pool's is evicted.
    pub(crate) generation: u64,
    pub(crate) uses: u64,
    /// Has the holder reached for the connection? If not, its session is as it was.
    pub(crate) touched: AtomicBool,
    /// Why it must not be used again, if so.
    pub(crate) condemned: Option<CloseReason>,
}

/// When a connection was last proved alive, and in which epoch of suspicion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) at: Instant,
    pub(crate) epoch: u64,
}

impl<C> Entry<C> {
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}
