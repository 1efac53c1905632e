//! Driver calls in the thread that returns a connection, which are usually short. They have a limit like any other call, but share one
//! alarm, because ordering an alarm and cancelling it again would cost more than the call.

use super::{CallOutcome, Shared};
use crate::contain::contained;
use crate::limit::{Fuse, Limit};
use crate::manager::{AbortHandle, Manager};
use crate::slots::SlotId;
use crate::state::stalls::last_look;
use crate::sync;
use crate::sync::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The calls of a pool that are running in threads that return connections.
#[derive(Default)]
pub(super) struct CallsHere(Mutex<Watched>);

#[derive(Default)]
struct Watched {
    /// In no particular order. There are at most as many as threads.
    calls: Vec<CallHere>,
    /// Whether the alarm is ordered. It is not cancelled when the calls have ended, so that the next call need not order it.
    is_ordered: bool,
}

struct CallHere {
    /// When the timer ends it: first at its limit, then at the end of its last look.
    due: Instant,
    has_last_look: bool,
    slot: SlotId,
    fuse: Fuse,
}

impl<M: Manager> Shared<M> {
    /// Makes a driver call for the connection in `slot`, in this thread, for at most `span`. When the time is over the timer aborts it
    /// by `abort_handle`.
    pub(crate) fn call_here<T>(
        self: &Arc<Self>,
        slot: SlotId,
        span: Duration,
        abort_handle: Option<&Arc<dyn AbortHandle>>,
        call: impl FnOnce(&Limit) -> T,
    ) -> CallOutcome<T> {
        let began = sync::now();
        let limit = self.limit(began, span, abort_handle);
        if let Some(deadline) = limit.deadline() {
            let mut watched = self.calls_here.0.lock();
            watched.calls.push(CallHere { due: deadline, has_last_look: false, slot, fuse: limit.fuse() });
            let is_ordered = std::mem::replace(&mut watched.is_ordered, true);
            drop(watched);
            if !is_ordered {
                self.end_calls_here_at(deadline);
            }
        }

        let answer = contained(|| call(&limit));

        let mut watched = self.calls_here.0.lock();
        // At most one call runs in a slot at a time.
        if let Some(place) = watched.calls.iter().position(|call| call.slot == slot) {
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

    /// Ends the calls whose time is over, and orders the next alarm if others are left.
    fn end_calls_here(self: &Arc<Self>) {
        let now = sync::now();
        let mut watched = self.calls_here.0.lock();
        let over = watched.take_over(now);
        let next = watched.calls.iter().map(|call| call.due).min();
        watched.is_ordered = next.is_some();
        drop(watched);
        for call in over {
            self.end_call(call.slot, &call.fuse);
        }
        if let Some(next) = next {
            self.end_calls_here_at(next);
        }
    }
}

impl Watched {
    /// Takes out the calls that must end by `now`. A call whose limit has passed first gets a moment more, as in a worker: to return an
    /// answer that may have been there for long if this process was suspended.
    fn take_over(&mut self, now: Instant) -> Vec<CallHere> {
        for call in self.calls.iter_mut().filter(|call| call.due <= now && !call.has_last_look) {
            call.due = now + last_look(now.saturating_duration_since(call.due));
            call.has_last_look = true;
        }
        let (over, left) = std::mem::take(&mut self.calls).into_iter().partition(|call| call.due <= now);
        self.calls = left;
        over
    }
}
