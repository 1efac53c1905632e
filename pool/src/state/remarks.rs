//! The manager's last remark on the server of each open connection, and which of these remarks is the newest.

use crate::slots::SlotId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// At most one remark per connection. An answer on one connection withdraws no remark on another, which may have another server.
#[derive(Default)]
pub(super) struct Remarks {
    /// When the connection in a slot was last opened or checked, if there was a remark then.
    asked_at: BTreeMap<SlotId, Instant>,
    /// The newest is last.
    told: BTreeMap<(Instant, SlotId), Arc<str>>,
}

impl Remarks {
    /// Replaces the remark on the connection in `slot`, which was opened or checked just now.
    pub(super) fn note(&mut self, slot: SlotId, remark: Option<Arc<str>>, now: Instant) {
        self.forget(slot);
        if let Some(remark) = remark {
            self.asked_at.insert(slot, now);
            self.told.insert((now, slot), remark);
        }
    }

    /// Removes the remark on the connection in `slot`, which ends.
    pub(super) fn forget(&mut self, slot: SlotId) {
        if let Some(at) = self.asked_at.remove(&slot) {
            self.told.remove(&(at, slot));
        }
    }

    /// The remark on the connection in `slot`.
    pub(super) fn of(&self, slot: SlotId) -> Option<Arc<str>> {
        let at = self.asked_at.get(&slot)?;
        self.told.get(&(*at, slot)).map(Arc::clone)
    }

    pub(super) fn newest(&self) -> Option<(Arc<str>, Instant)> {
        self.told.last_key_value().map(|(&(at, _), remark)| (Arc::clone(remark), at))
    }
}
