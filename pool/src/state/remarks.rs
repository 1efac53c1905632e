//! What the manager last had to say of the server of each open connection, and which of these remarks is the newest.

use crate::slots::SlotId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// One at most for each connection: the answer of one takes nothing back that was said of another, which may have another server.
#[derive(Default)]
pub(super) struct Remarks {
    /// When the connection in a slot was last asked, if there was something to say then.
    asked_at: BTreeMap<SlotId, Instant>,
    /// The newest last.
    told: BTreeMap<(Instant, SlotId), Arc<str>>,
}

impl Remarks {
    /// The connection in `slot` was asked.
    pub(super) fn note(&mut self, slot: SlotId, remark: Option<Arc<str>>, now: Instant) {
        self.forget(slot);
        if let Some(remark) = remark {
            self.asked_at.insert(slot, now);
            self.told.insert((now, slot), remark);
        }
    }

    /// The connection in `slot` is nobody's any more.
    pub(super) fn forget(&mut self, slot: SlotId) {
        if let Some(at) = self.asked_at.remove(&slot) {
            self.told.remove(&(at, slot));
        }
    }

    /// What there is to say of the connection in `slot`.
    pub(super) fn of(&self, slot: SlotId) -> Option<Arc<str>> {
        let at = self.asked_at.get(&slot)?;
        self.told.get(&(*at, slot)).map(Arc::clone)
    }

    pub(super) fn newest(&self) -> Option<(Arc<str>, Instant)> {
        self.told.last_key_value().map(|(&(at, _), remark)| (Arc::clone(remark), at))
    }
}
