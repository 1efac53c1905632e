//! One driver call under a limit: how it is made, how it is ended from outside, and what its end means.

use super::{Job, Shared};
use crate::cause::Cause;
use crate::contain::contained;
use crate::event::OpenFailed;
use crate::figures::Span;
use crate::limit::{Fired, Fuse, Limit};
use crate::manager::{AbortHandle, Fault, Manager};
use crate::reason::CloseReason;
use crate::slots::{Phase, SlotId};
use crate::state::actions::Action;
use crate::state::stalls::last_look;
use crate::workers::Alarm;
use crate::{seeded, sync};
use std::error::Error;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// The outcome of a driver call.
pub(crate) struct CallOutcome<T> {
    /// Its answer, or the message of its panic.
    pub(crate) answer: Result<T, String>,
    /// Whether it was given up. If so, the connection must be discarded, whatever the answer.
    pub(crate) over: bool,
    pub(crate) took: Duration,
    pub(crate) ended: Instant,
}

impl<M: Manager> Shared<M> {
    /// Makes a driver call for the connection or the attempt in `slot`, in this worker thread, for at most `span`. When the time is over
    /// the call is aborted: by what the call itself registers, or by `abort_handle`.
    pub(crate) fn call<T>(
        self: &Arc<Self>,
        slot: SlotId,
        span: Duration,
        abort_handle: Option<&Arc<dyn AbortHandle>>,
        call: impl FnOnce(&Limit) -> T,
    ) -> CallOutcome<T> {
        let began = sync::now();
        let limit = self.limit(began, span, abort_handle);
        let fuse = limit.fuse();
        self.with(began, |state, actions| state.call_began(slot, fuse.downgrade(), began, actions));
        let alarm = limit.deadline().map(|due| self.end_at_limit(due, slot, fuse));

        let answer = contained(|| call(&limit));

        if let Some(alarm) = alarm {
            self.workers.cancel_alarm(alarm);
        }
        CallOutcome::of(answer, &limit, began)
    }

    /// The limit of a call that begins now. The connection's own handle aborts it.
    pub(super) fn limit(&self, began: Instant, span: Duration, abort_handle: Option<&Arc<dyn AbortHandle>>) -> Limit {
        let limit = Limit::of_call(&self.name, began, span);
        if let Some(abort_handle) = abort_handle {
            abort_by(abort_handle, &limit);
        }
        limit
    }

    /// What the end of a check or a reset means for the connection: go on with the answer, or close it for this reason.
    pub(crate) fn verdict<'a, T>(
        &self,
        outcome: &'a CallOutcome<Result<T, Cause<M::Error>>>,
        failed: CloseReason,
    ) -> Result<&'a T, CloseReason> {
        let is_of_role = |error: &M::Error| self.fault(error) == Some(Fault::WrongRole);
        outcome.verdict(failed).map_err(|reason| match &outcome.answer {
            Ok(Err(Cause::Driver(error))) if reason == failed && is_of_role(error) => CloseReason::WrongRole,
            _ => reason,
        })
    }

    /// Emits `open_failed`: an attempt to connect has failed, or was given up.
    pub(crate) fn tell_open_failed(&self, error: &(dyn Error + 'static), took: Duration) {
        self.emit(|events| events.open_failed(&OpenFailed { pool: &self.config.name, error, took }));
    }

    /// Has the timer end the call of `fuse` soon after its limit has passed. The call gets a moment more, to return an answer that may
    /// have been there for long if this process was suspended.
    fn end_at_limit(self: &Arc<Self>, due: Instant, slot: SlotId, fuse: Fuse) -> Alarm {
        let pool = Arc::downgrade(self);
        self.workers.at(due, move || {
            let Some(shared) = pool.upgrade() else { return };
            let now = sync::now();
            let _ = shared.end_call_at(now + last_look(now.saturating_duration_since(due)), slot, fuse);
            shared.leave_to_worker();
        })
    }

    /// Has the timer end the call of `fuse`, if it still runs at `time`.
    pub(super) fn end_call_at(self: &Arc<Self>, time: Instant, slot: SlotId, fuse: Fuse) -> Alarm {
        let pool = Arc::downgrade(self);
        self.workers.at(time, move || {
            if let Some(shared) = pool.upgrade() {
                shared.end_call(slot, &fuse);
                shared.leave_to_worker();
            }
        })
    }

    /// Ends the call of `fuse`, if it still runs.
    pub(super) fn end_call(self: &Arc<Self>, slot: SlotId, fuse: &Fuse) {
        let now = sync::now();
        fuse.fire(|fired| {
            let reached = self.with(now, |state, actions| {
                if state.phase(slot) == Phase::Opening {
                    // The attempt has failed now, not when it returns: the pause before the next one begins here.
                    let cause = Cause::connect_overran(fuse.span());
                    state.open_overran(slot, cause.clone(), now, actions);
                    actions.push(Action::TellGivenUp(cause, fuse.span()));
                }
                match fired {
                    // An engine in this process has no socket to shut down: its session ends when the call returns.
                    Fired::Aborted if !M::REMOTE => {}
                    Fired::Aborted => state.aborted(slot, now),
                    Fired::WrittenOff if state.phase(slot) == Phase::Opening => state.abandoned(slot, now),
                    Fired::WrittenOff | Fired::Stuck => state.stuck(slot),
                }
                // A call that can at least be cancelled returns soon.
                state.abort_handle(slot).filter(|_| fired == Fired::Stuck && M::REMOTE)
            });
            if let Some(abort_handle) = reached.as_ref().and_then(Weak::upgrade) {
                let ask = Box::new(move |limit: &Limit| _ = !can_abort(&*abort_handle) && abort_handle.cancel(limit));
                self.workers.submit(Job::Cancel { pool: Arc::clone(self), limit: self.config.close_timeout, ask });
            }
            // A goodbye may never return: it must not delay those that are queued.
            self.workers.leave_background(slot);
        });
    }
}

/// Has the call aborted by the connection's handle, if that can abort.
pub(crate) fn abort_by(abort_handle: &Arc<dyn AbortHandle>, limit: &Limit) {
    if can_abort(&**abort_handle) {
        let abort_handle = Arc::clone(abort_handle);
        limit.on_abort(move || abort_handle.abort());
    }
}

/// Whether this handle can abort, or only cancel. One that panics cannot.
pub(crate) fn can_abort(abort_handle: &dyn AbortHandle) -> bool {
    contained(|| abort_handle.can_abort()).unwrap_or(false)
}

impl<T> CallOutcome<T> {
    /// For a call that has returned: from here on nothing aborts its connection.
    pub(super) fn of(answer: Result<T, String>, limit: &Limit, began: Instant) -> Self {
        let over = match seeded::bug("looks_whether_it_is_over_before_it_disarms") {
            true => (limit.is_over(), limit.disarm()).0,
            false => limit.disarm(),
        };
        let ended = sync::now();
        Self { answer, over, took: ended.saturating_duration_since(began), ended }
    }
}

impl<T, E: Error + Send + Sync + 'static> CallOutcome<Result<T, Cause<E>>> {
    fn verdict(&self, failed: CloseReason) -> Result<&T, CloseReason> {
        match &self.answer {
            _ if self.over => Err(CloseReason::Overran),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Cause::Panicked(_))) | Err(_) => Err(CloseReason::Panicked),
            Ok(Err(_)) => Err(failed),
        }
    }

    /// Why the call failed, if it did.
    pub(crate) fn cause(&self) -> Option<Cause<E>> {
        match &self.answer {
            Ok(Err(cause)) => Some(cause.clone()),
            Ok(Ok(_)) if self.over => {
                Some(Cause::other(format!("the call exceeded its time limit, and ended after {}", Span(self.took))))
            }
            Err(panic) => Some(Cause::panicked("the manager panicked", panic)),
            Ok(Ok(_)) => None,
        }
    }
}
