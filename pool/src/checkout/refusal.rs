//! The end of a request that gets no connection: its error and its one event. It was counted before, under the lock.

use crate::cause::Cause;
use crate::error::GetError;
use crate::event::Refused;
use crate::manager::Manager;
use crate::reason::RefusalReason;
use crate::shared::Shared;
use crate::slots::Borrower;
use crate::state::reports::Snapshot;
use crate::sync;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why a request gets no connection, with a snapshot of the pool where the error has a report.
pub(super) enum Refusal<E> {
    TimedOut(Box<Snapshot<E>>),
    Overloaded(Box<Snapshot<E>>),
    Connect(Cause<E>),
    Closed,
}

/// A refusal, and when it happened.
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
    /// Emits the event and returns the error, for a borrower that asked at `start`. Both are built here, outside the lock.
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
                shared.emit_refusal(|events| events.timed_out(&report));
                GetError::Timeout(report)
            }
            Refusal::Overloaded(snapshot) => {
                let report = report(snapshot);
                shared.emit_refusal(|events| events.overloaded(&report));
                GetError::Overloaded(report)
            }
            Refusal::Connect(cause) => {
                tell(shared, RefusalReason::Connect, waited, Some(cause.as_error()));
                GetError::Connect(cause)
            }
            Refusal::Closed => {
                tell(shared, RefusalReason::Closed, waited, None);
                GetError::Closed
            }
        }
    }
}

/// Refuses a request that a hook or a method of the manager made.
#[cold]
pub(super) fn refuse_hook<M: Manager>(shared: &Arc<Shared<M>>) -> GetError<M::Error> {
    shared.with(sync::now(), |state, _| state.called_from_hook());
    tell(shared, RefusalReason::CalledFromHook, Duration::ZERO, None);
    GetError::CalledFromHook
}

/// Emits the event for a request that was refused in this thread.
#[cold]
pub(super) fn tell<M: Manager>(
    shared: &Arc<Shared<M>>,
    reason: RefusalReason,
    waited: Duration,
    error: Option<&(dyn Error + 'static)>,
) {
    let refused = Refused { pool: &shared.config.name, reason, waited, error };
    shared.emit_refusal(|events| events.refused(&refused));
}
