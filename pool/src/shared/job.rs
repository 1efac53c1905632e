//! The jobs of the workers. `driver_calls.rs` runs them.

use super::{ActionsOf, Held, Shared, Slot};
use crate::limit::Limit;
use crate::manager::Manager;
use crate::reason::CloseReason;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Work for one worker. A job on a connection carries it with its slot.
pub(crate) enum Job<M: Manager> {
    Open {
        slot: Slot<M>,
        limit: Duration,
        generation: u64,
    },
    Check(Held<M>),
    Reset(Held<M>),
    /// The end of a connection, ordered at `since`.
    Close {
        held: Held<M>,
        reason: CloseReason,
        since: Instant,
        /// Without a goodbye, because its slot is needed.
        hastened: bool,
    },
    /// Asks the server, within `limit`, to cancel what a holder runs.
    Cancel {
        pool: Arc<Shared<M>>,
        limit: Duration,
        ask: Box<dyn FnOnce(&Limit) + Send>,
    },
    /// User code (events, wakers and destructors), from a thread that must not run it.
    Tell(Arc<Shared<M>>, ActionsOf<M>),
}

impl<M: Manager> Job<M> {
    /// The connection is to end at once, without a goodbye.
    pub(crate) fn hasten(&mut self) {
        if let Self::Close { hastened, .. } = self {
            *hastened = true;
        }
    }
}
