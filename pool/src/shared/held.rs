//! Capacity as a value: a slot, and a connection that is held with its slot outside the state.

use crate::entry::Entry;
use crate::manager::{AbortHandle, Manager};
use crate::shared::{Canceller, PoolRef, Shared};
use crate::slots::SlotId;
use crate::sync;
use crate::sync::OnceLock;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

/// One unit of capacity. Dropping it returns the capacity, and a new connection is opened if a request waits.
pub(crate) struct Slot<M: Manager> {
    /// `None` while the state owns the slot.
    pool: Option<PoolRef<M>>,
    id: SlotId,
}

/// A connection and the slot that it fills.
pub(crate) struct SlottedConnection<M: Manager> {
    // Dropped in this order: the slot is free only when the connection is gone.
    pub(crate) conn: M::Connection,
    pub(crate) slot: Slot<M>,
    /// Created when the holder asks for it. It ends with the loan.
    pub(crate) canceller: OnceLock<Canceller>,
}

/// A connection that its borrower or a worker owns: dropping it returns its slot. It is one pointer, because a value that is written in
/// parts and copied as a whole stalls the processor.
pub(crate) struct Held<M: Manager>(Box<Entry<SlottedConnection<M>>>);

impl<M: Manager> Slot<M> {
    pub(super) fn new(pool: PoolRef<M>, id: SlotId) -> Self {
        Self { pool: Some(pool), id }
    }

    pub(crate) fn id(&self) -> SlotId {
        self.id
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Arc<Shared<M>> {
        self.pool.as_ref().expect("a slot has its pool until it is given back")
    }
}

impl<M: Manager> Held<M> {
    /// A connection that was opened in `slot`, by an attempt that began in `generation`.
    pub(crate) fn new(
        slot: Slot<M>,
        conn: M::Connection,
        abort_handle: Option<Arc<dyn AbortHandle>>,
        generation: u64,
        now: Instant,
    ) -> Self {
        let slot_id = slot.id;
        let slotted = SlottedConnection { conn, slot, canceller: OnceLock::new() };
        Self(Box::new(Entry::new(slot_id, slotted, abort_handle, generation, now)))
    }

    /// Takes over a connection that the state has just released.
    #[inline]
    pub(crate) fn hold(pool: PoolRef<M>, mut entry: Box<Entry<SlottedConnection<M>>>) -> Self {
        entry.slotted.slot.pool = Some(pool);
        Self(entry)
    }

    /// For the state, which owns the slot once it has the entry. Until then nothing may unwind.
    #[inline]
    pub(crate) fn into_entry(self) -> (PoolRef<M>, Box<Entry<SlottedConnection<M>>>) {
        let Self(mut entry) = self;
        let pool = entry.slotted.slot.pool.take().expect("a held connection has its pool");
        (pool, entry)
    }

    /// In a child of `fork`: leaves everything to the parent. A destructor of the driver would say goodbye on the parent's socket.
    #[cold]
    pub(crate) fn leave_to_parent(self) {
        std::mem::forget(self);
    }

    /// In a child of `fork`, for a holder that detaches it: the connection alone. All else is the parent's.
    #[cold]
    pub(crate) fn leave_all_but_connection_to_parent(self) -> M::Connection {
        let Entry { slotted: SlottedConnection { conn, slot, canceller }, abort_handle, .. } = self.unbox();
        std::mem::forget((slot, canceller, abort_handle));
        conn
    }

    /// Takes it out of its box.
    pub(crate) fn unbox(self) -> Entry<SlottedConnection<M>> {
        *self.0
    }
}

impl<M: Manager> Deref for Held<M> {
    type Target = Entry<SlottedConnection<M>>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<M: Manager> DerefMut for Held<M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<M: Manager> Drop for Slot<M> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            if !pool.is_at_home() {
                return std::mem::forget(pool);
            }
            pool.with(sync::now(), |state, _| state.release(self.id));
            pool.leave_to_worker();
        }
    }
}
