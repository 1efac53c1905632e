//! What is said to a request that gets no connection, and told of it: by one event, once it has been counted.

use crate::error::GetError;
use crate::event::Refused;
use crate::manager::Manager;
use crate::reason::RefusalReason;
use crate::shared::Shared;
use crate::slots::Borrower;
use crate::state::reports::Snapshot;
use crate::sync;
use std::cell::Cell;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why a request gets no connection, and how things stood then.
pub(super) enum Refusal<E> {
    TimedOut(Box<Snapshot<E>>),
    Overloaded(Box<Snapshot<E>>),
    Connect(Arc<E>),
    Closed,
}

/// A refusal, and when it came.
pub(super) struct Unserved<E> {
    refusal: Refusal<E>,
    at: Instant,
}

impl<E> Refusal<E> {
    pub(super) fn at(self, now: Instant) -> Unserved<E> {
        Unserved { refusal: self, at: now }
    }
}

impl<E: Error + Send + Sync + 'static> Unserved<E> {
    /// Tells the handlers. What is said to the borrower, who asked at `start`, is put together here, outside the lock.
    #[cold]
    pub(super) fn tell<M: Manager<Error = E>>(
        self,
        shared: &Arc<Shared<M>>,
        start: Instant,
        borrower: Borrower,
    ) -> GetError<E> {
        let waited = self.at.saturating_duration_since(start);
        let report =
            |snapshot: Box<Snapshot<E>>| snapshot.report(&shared.config.name, waited, borrower.thread, self.at);
        match self.refusal {
            Refusal::TimedOut(snapshot) => {
                let report = report(snapshot);
                shared.emit(|events| events.timed_out(&report));
                GetError::Timeout(report)
            }
            Refusal::Overloaded(snapshot) => {
                let report = report(snapshot);
                shared.emit(|events| events.overloaded(&report));
                GetError::Overloaded(report)
            }
            Refusal::Connect(error) => {
                tell(shared, RefusalReason::Connect, waited, Some(&*error));
                GetError::Connect(error)
            }
            Refusal::Closed => {
                tell(shared, RefusalReason::Closed, waited, None);
                GetError::Closed
            }
        }
    }
}

/// A hook or a manager's method asked for a connection.
#[cold]
pub(super) fn refuse_hook<M: Manager>(shared: &Arc<Shared<M>>) -> GetError<M::Error> {
    shared.with(sync::now(), |state, _| state.called_from_hook());
    tell(shared, RefusalReason::CalledFromHook, Duration::ZERO, None);
    GetError::CalledFromHook
}

/// Tells the handlers of a refusal that is neither a time-out nor overload.
#[cold]
pub(super) fn tell<M: Manager>(
    shared: &Arc<Shared<M>>,
    reason: RefusalReason,
    waited: Duration,
    error: Option<&(dyn Error + 'static)>,
) {
    thread_local!(static TELLING: Cell<bool> = const { Cell::new(false) });
    // A handler that asks for a connection itself, and is refused, would hear of that, ask again, and so on.
    // In a child of `fork` a handler may wait for a thread that is not there.
    if shared.is_at_home() && !TELLING.replace(true) {
        shared.emit(|events| events.refused(&Refused { pool: &shared.config.name, reason, waited, error }));
        TELLING.set(false);
    }
}
