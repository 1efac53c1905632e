//! What the workers are asked to do. Running a job is the business of `driver_calls.rs`.

use super::{ActionsOf, Held, Shared, Slot};
use crate::limit::Limit;
use crate::manager::Manager;
use crate::reason::CloseReason;
use std::sync::Arc;
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
    /// The end of a connection, ordered at `since`.
    Close {
        held: Held<M>,
        reason: CloseReason,
        since: Instant,
        /// No goodbye any more: its slot is wanted.
        hastened: bool,
    },
    /// Asks the server, within `limit`, to cancel what a holder runs.
    Cancel {
        pool: Arc<Shared<M>>,
        limit: Duration,
        ask: Box<dyn FnOnce(&Limit) + Send>,
    },
    /// Events and destructors that are the user's, from a thread that must not run them.
    Tell(Arc<Shared<M>>, ActionsOf<M>),
}

impl<M: Manager> Job<M> {
    /// A connection that is to be closed is to be gone at once, without a goodbye.
    pub(crate) fn hasten(&mut self) {
        if let Self::Close { hastened, .. } = self {
            *hastened = true;
        }
    }
}
