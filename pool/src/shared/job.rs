//! What the workers are asked to do. Running a job is the business of `driver_calls.rs`.

use super::{Held, Shared, Slot};
use crate::error::Holder;
use crate::limit::Fuse;
use crate::manager::{AbortHandle, Manager};
use crate::reason::CloseReason;
use crate::slots::SlotId;
use crate::sync::Sender;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Work for one worker. Each kind that concerns a connection carries it with its slot.
pub(crate) enum Job<M: Manager> {
    Open {
        slot: Slot<M>,
        limit: Duration,
        generation: u64,
    },
    Check(Held<M>),
    Reset(Held<M>),
    Close(Held<M>, CloseReason),
    /// Asks the server, within `limit`, to cancel what the holder runs; if it could ask, sends the holder to `cancelled`.
    Cancel {
        pool: Arc<Shared<M>>,
        abort_handle: Arc<dyn AbortHandle>,
        limit: Duration,
        holder: Holder,
        cancelled: Sender<Holder>,
    },
    /// Ends a call that concerns no slot.
    Fire(Fuse),
    /// A driver call's limit has passed, or its connection's slot is wanted.
    EndCall {
        pool: Weak<Shared<M>>,
        slot: SlotId,
        fuse: Fuse,
        worker_id: Option<u64>,
    },
    /// The maintenance, ordered for that moment.
    Tick(Weak<Shared<M>>, Instant),
}
