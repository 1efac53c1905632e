//! The workers' part: how their driver calls ended, and what became of their slots.

use crate::cause::Cause;
use crate::entry::Entry;
use crate::gate::{Refusal, Stage};
use crate::limit::Call;
use crate::reason::CloseReason;
use crate::slots::{Phase, SlotId};
use crate::state::State;
use crate::state::actions::{Action, Actions};
use crate::state::patience::Spans;
use crate::state::promises::PromiseKind;
use crate::state::stalls::grace_after;
use crate::sync::after;
use crate::waiter::Wake;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

impl<C, E> State<C, E> {
    /// A connection was opened: gives it its number and its lifetime.
    pub(crate) fn admit(&mut self, entry: &mut Entry<C>, took: Duration, now: Instant, actions: &mut Actions<C, E>) {
        entry.id = self.next_id;
        self.next_id += 1;
        // Less than 1, so that no lifetime is too long to be multiplied by it.
        let share = self.rules.lifetime_jitter * self.random.f64();
        entry.expires = match self.rules.max_lifetime {
            Duration::MAX => None,
            lifetime => after(now, lifetime.saturating_sub(lifetime.mul_f64(share))),
        };
        self.prove(entry, now);
        (self.opened_at, self.wrong_in_a_row) = (Some(now), 0);
        let record = self.slots.get(entry.slot_id);
        (record.id, record.opened_at) = (entry.id, Some(entry.opened_at));
        record.abort_handle = entry.abort_handle.as_ref().map(Arc::downgrade);
        // Its promise is kept only when it is put: until then a waiter relies on it.
        let somebody_waits = !self.queue.is_empty();
        entry.on_trial = self.gate.opened(now, self.slots.taken(), self.rules.max_size, somebody_waits);
        self.forget_error(actions);
        self.counters.opened += 1;
        self.counters.open_time.record(took);
    }

    /// An attempt to connect failed. Its slot is still taken.
    pub(crate) fn open_failed(&mut self, refusal: Refusal, cause: Cause<E>, now: Instant, actions: &mut Actions<C, E>) {
        let first = self.gate.failed(now, refusal, self.slots.open());
        if first && refusal == Refusal::Unavailable {
            self.suspect(now);
        }
        self.tell_failure(cause, now, actions);
    }

    /// An attempt that began in `generation` was refused for good. After an eviction meanwhile, that may not apply to the password (or
    /// the like) that holds now.
    pub(crate) fn open_refused(&mut self, generation: u64, cause: Cause<E>, now: Instant, actions: &mut Actions<C, E>) {
        if generation == self.generation {
            self.open_failed(Refusal::Permanent, cause, now, actions);
        } else {
            self.tell_failure(cause, now, actions);
        }
    }

    fn tell_failure(&mut self, cause: Cause<E>, now: Instant, actions: &mut Actions<C, E>) {
        self.counters.open_failures += 1;
        actions.extend(self.watchers.drain(..).map(Action::Wake));
        actions.extend(self.last_error.replace((cause, now)).map(|(cause, _)| Action::Drop(cause)));
    }

    /// The attempt that has just failed found a server in the wrong role.
    pub(crate) fn role_was_wrong(&mut self) {
        self.counters.wrong_role_failures += 1;
    }

    /// An attempt to connect in `slot` was given up at its limit. The slot is still taken.
    pub(crate) fn open_overran(&mut self, slot: SlotId, cause: Cause<E>, now: Instant, actions: &mut Actions<C, E>) {
        let began = self.slots.get(slot).since;
        if self.gate.overran(began, now, self.slots.open()) {
            self.suspect(now);
        }
        self.tell_failure(cause, now, actions);
    }

    /// Drops the last error, unless there is still an obstacle to new connections.
    pub(super) fn forget_error(&mut self, actions: &mut Actions<C, E>) {
        if self.gate.has_trouble() || self.gate.doubts_the_new() {
            return;
        }
        actions.extend(self.last_error.take().map(|(cause, _)| Action::Drop(cause)));
    }

    /// A check succeeded. It counts from the moment of its answer, and settles the doubts raised before.
    pub(crate) fn proved(&mut self, entry: &mut Entry<C>, now: Instant, actions: &mut Actions<C, E>) {
        self.prove(entry, now);
        self.wrong_in_a_row = 0;
        if std::mem::take(&mut entry.is_asked) {
            self.settle_doubt(now);
        } else {
            self.answered_at = Some(now);
        }
        self.passed(entry, Stage::Check, now, actions);
        self.answer(entry, now, actions);
    }

    /// Records the manager's remark on the server of the connection in `slot`, which was just opened or checked.
    pub(crate) fn remarked(&mut self, slot: SlotId, remark: Option<Arc<str>>, now: Instant) {
        self.remarks.note(slot, remark, now);
    }

    pub(super) fn promise(&mut self, slot: SlotId, now: Instant, kind: PromiseKind) {
        self.promises.make(slot, kind, now, self.spans(kind));
    }

    /// A call has the time that calls of its kind take. While requests wait, others are checked sooner beside a check or a reset, if a
    /// time-out is short.
    fn spans(&self, kind: PromiseKind) -> Spans {
        let spans = self.patience.spans(kind);
        match kind {
            PromiseKind::Check | PromiseKind::Reset if !self.queue.is_empty() => {
                Spans { late: spans.late.min(self.haste()), ..spans }
            }
            _ => spans,
        }
    }

    /// The call in `slot`, if there is one, ended well: its time counts as that of an answer. Not if it was postponed, or if this
    /// process noticed its end too late.
    #[inline]
    pub(super) fn keep_promise(&mut self, slot: SlotId, now: Instant) {
        if !self.promises.is_empty() {
            self.answered_in(slot, now);
        }
    }

    fn answered_in(&mut self, slot: SlotId, now: Instant) {
        let is_overdue = |at| grace_after(now.saturating_duration_since(at)).is_some();
        let overslept = self.alarm.is_some_and(is_overdue) || self.calm_until.is_some_and(|until| now < until);
        let Some(promise) = self.promises.keep(slot) else { return };
        if promise.kind == PromiseKind::Reset {
            self.answered_at = Some(now);
        }
        if !overslept && !promise.was_spared() {
            self.patience.answered(promise.kind, now.saturating_duration_since(promise.since), now);
        }
    }

    /// Counts a reset.
    pub(crate) fn reset_ended(&mut self, ok: bool) {
        let counter = if ok { &mut self.counters.resets_done } else { &mut self.counters.resets_failed };
        *counter += 1;
    }

    /// Has `wake` woken when a connection was opened or could not be, or when the closed pool is empty.
    pub(crate) fn watch(&mut self, wake: Wake) {
        self.watchers.push(wake);
    }

    /// Frees `slot`. Its connection, if there was one, is gone.
    pub(crate) fn release(&mut self, slot: SlotId) {
        self.promises.keep(slot);
        self.remarks.forget(slot);
        self.end_permit(slot);
        self.slots.free(slot);
    }

    pub(crate) fn phase(&mut self, slot: SlotId) -> Phase {
        self.slots.get(slot).phase
    }

    /// Frees `slot`, and its connection stays with its holder.
    pub(crate) fn detached(&mut self, slot: SlotId, now: Instant) {
        let since = self.slots.get(slot).loan().map_or(now, |loan| loan.since);
        let used = now.saturating_duration_since(since);
        self.counters.returned += 1;
        self.counters.use_time.record(used);
        self.counters.closed.count(CloseReason::Detached);
        self.release(slot);
    }

    /// A driver call begins in `slot`.
    pub(crate) fn call_began(&mut self, slot: SlotId, call: Weak<Call>, now: Instant, actions: &mut Actions<C, E>) {
        self.slots.get(slot).call = Some(Weak::clone(&call));
        match self.promises.get(slot) {
            // It was to make room before it had a thread, and got one at the same moment.
            Some(promise) if promise.aborting || promise.hastened => {
                self.promises.abort(slot);
                actions.push(Action::Abort(slot, call));
            }
            Some(promise) => self.promises.begin(slot, now, self.spans(promise.kind)),
            None => {}
        }
    }

    /// Aborts all driver calls under way.
    pub(crate) fn abort_calls(&mut self, actions: &mut Actions<C, E>) {
        actions.extend(self.slots.iter().filter_map(|(slot, record)| Some(Action::Abort(slot, record.call.clone()?))));
    }

    /// The call or loan in `slot` was aborted: its capacity is free at once.
    pub(crate) fn aborted(&mut self, slot: SlotId, now: Instant) {
        self.promises.keep(slot);
        self.remarks.forget(slot);
        self.slots.enter(slot, Phase::Aborted, now);
    }

    /// The thread that works for `slot` is written off. Its look-up opens nothing, so the capacity is free.
    pub(crate) fn abandoned(&mut self, slot: SlotId, now: Instant) {
        self.promises.keep(slot);
        self.slots.enter(slot, Phase::Abandoned, now);
    }

    /// The call in `slot` hangs and cannot be aborted.
    pub(crate) fn stuck(&mut self, slot: SlotId) {
        self.promises.keep(slot);
        self.slots.mark_stuck(slot);
    }

    /// The connection in `slot` is being closed.
    pub(crate) fn closing(&mut self, slot: SlotId, reason: CloseReason, now: Instant) {
        self.promises.keep(slot);
        self.remarks.forget(slot);
        if self.slots.get(slot).phase != Phase::Aborted {
            self.slots.enter(slot, Phase::Closing, now);
            self.promise(slot, now, PromiseKind::Close { dead: !reason.is_orderly() });
        }
        self.counters.closed.count(reason);
    }
}
