//! Driver calls in the thread that returns a connection: surely small ones, as a rule. They have a limit like any other, but share one
//! alarm, for to order one and to cancel it again would cost more than the call.

use super::{CallOutcome, Shared};
use crate::contain::contained;
use crate::limit::{Fuse, Limit};
use crate::manager::{AbortHandle, Manager};
use crate::slots::SlotId;
use crate::sync;
use crate::sync::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The calls of a pool that run now in threads that return connections.
#[derive(Default)]
pub(super) struct CallsHere(Mutex<Watched>);

#[derive(Default)]
struct Watched {
    /// When each must be over. In no order, for there are never more than threads.
    calls: Vec<(Instant, SlotId, Fuse)>,
    /// Is the alarm ordered? It is not cancelled when the calls have ended: then the next need not order it.
    is_ordered: bool,
}

impl<M: Manager> Shared<M> {
    /// Makes a driver call for what fills `slot`, in this thread, for at most `span`. When the time is over the timer aborts it
    /// by `abort_handle`.
    pub(crate) fn call_here<T>(
        self: &Arc<Self>,
        slot: SlotId,
        span: Duration,
        abort_handle: Option<&Arc<dyn AbortHandle>>,
        call: impl FnOnce(&Limit) -> T,
    ) -> CallOutcome<T> {
        let began = sync::now();
        let limit = Limit::new(&self.name, began, span);
        if let Some(abort_handle) = abort_handle {
            let abort_handle = Arc::clone(abort_handle);
            limit.on_abort(move || abort_handle.abort());
        }
        if let Some(deadline) = limit.deadline() {
            let mut watched = self.calls_here.0.lock();
            watched.calls.push((deadline, slot, limit.fuse()));
            let is_ordered = std::mem::replace(&mut watched.is_ordered, true);
            drop(watched);
            if !is_ordered {
                self.end_calls_here_at(deadline);
            }
        }

        let answer = contained(|| call(&limit));

        let mut watched = self.calls_here.0.lock();
        // No two calls run in one slot at a time.
        if let Some(place) = watched.calls.iter().position(|(_, other, _)| *other == slot) {
            watched.calls.swap_remove(place);
        }
        drop(watched);
        CallOutcome::of(answer, &limit, began)
    }

    fn end_calls_here_at(self: &Arc<Self>, time: Instant) {
        let pool = Arc::downgrade(self);
        self.workers.at(time, move || {
            if let Some(shared) = pool.upgrade() {
                shared.end_calls_here();
                shared.leave_to_worker();
            }
        });
    }

    /// Ends those whose time is over, and has the timer look again when the next may have to be ended.
    fn end_calls_here(self: &Arc<Self>) {
        let now = sync::now();
        let mut watched = self.calls_here.0.lock();
        let (over, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut watched.calls).into_iter().partition(|(deadline, ..)| *deadline <= now);
        let next = left.iter().map(|(deadline, ..)| *deadline).min();
        (watched.calls, watched.is_ordered) = (left, next.is_some());
        drop(watched);
        for (_, slot, fuse) in over {
            self.end_call(slot, &fuse);
        }
        if let Some(next) = next {
            self.end_calls_here_at(next);
        }
    }
}
