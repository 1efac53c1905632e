//! What the workers report to the state: how their driver calls ended, and what became of their slots.

use crate::entry::{Entry, Proof};
use crate::error::Cause;
use crate::gate::Refusal;
use crate::limit::Call;
use crate::reason::CloseReason;
use crate::slots::{Phase, SlotId};
use crate::state::State;
use crate::state::actions::{Action, Actions};
use crate::sync::after;
use crate::waiter::Wake;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

impl<C, E> State<C, E> {
    /// A connection was opened in `slot`: it gets its number, and its time to live.
    pub(crate) fn admit(&mut self, entry: &mut Entry<C>, took: Duration, now: Instant, actions: &mut Actions<C, E>) {
        entry.id = self.next_id;
        self.next_id += 1;
        // Less than one, so that no lifetime is too long to be multiplied by it.
        let share = self.rules.lifetime_jitter * self.random.f64();
        entry.expires = match self.rules.max_lifetime {
            Duration::MAX => None,
            lifetime => after(now, lifetime.saturating_sub(lifetime.mul_f64(share))),
        };
        entry.asked = self.epoch;
        self.proved(entry, now);
        let record = self.slots.get(entry.slot_id);
        record.id = entry.id;
        record.abort_handle = entry.abort_handle.as_ref().map(Arc::downgrade);
        self.gate.opened(self.slots.taken(), self.rules.max_size);
        actions.extend(self.last_error.take().map(|(cause, _)| Action::Drop(cause)));
        self.counters.opened += 1;
        self.counters.open_time.record(took);
    }

    /// An attempt to connect in `slot` failed; the slot is still taken.
    pub(crate) fn open_failed(&mut self, refusal: Refusal, cause: Cause<E>, now: Instant, actions: &mut Actions<C, E>) {
        let first = self.gate.failed(now, refusal, self.slots.open());
        if first && refusal == Refusal::Unavailable {
            self.suspect();
        }
        self.tell_failure(cause, now, actions);
    }

    /// An attempt that began in `generation` was refused for good. If there was an eviction meanwhile, that says nothing of
    /// the password, or the like, that holds now.
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

    /// All that have not been proved since are checked before their next loan.
    pub(crate) fn suspect(&mut self) {
        self.epoch += 1;
    }

    /// A connection is proved dead. That puts the others under suspicion, unless it was itself under suspicion already.
    pub(crate) fn died(&mut self, entry: &Entry<C>) {
        if entry.proved.epoch == self.epoch {
            self.suspect();
        }
    }

    /// A check succeeded.
    pub(crate) fn proved(&mut self, entry: &mut Entry<C>, now: Instant) {
        entry.proved = Proof { at: now, epoch: entry.asked };
        entry.fresh_until = after(now, self.rules.check_after);
    }

    /// A reset ended.
    pub(crate) fn reset_ended(&mut self, ok: bool) {
        let counter = if ok { &mut self.counters.resets_done } else { &mut self.counters.resets_failed };
        *counter += 1;
    }

    /// To be woken when a connection has been opened or could not be, or when the closed pool is empty.
    pub(crate) fn watch(&mut self, wake: Wake) {
        self.watchers.push(wake);
    }

    /// `slot` is free, and the connection that filled it, if any, is gone.
    pub(crate) fn release(&mut self, slot: SlotId) {
        self.keep_promise(slot);
        self.slots.free(slot);
    }

    pub(crate) fn phase(&mut self, slot: SlotId) -> Phase {
        self.slots.get(slot).phase
    }

    /// What fills `slot` is a connection that its holder keeps.
    pub(crate) fn detached(&mut self, slot: SlotId, now: Instant) {
        let used = now.saturating_duration_since(self.slots.get(slot).since);
        self.counters.returned += 1;
        self.counters.use_time.record(used);
        self.counters.closed.count(CloseReason::Detached);
        self.release(slot);
    }

    /// A driver call begins in `slot`.
    pub(crate) fn call_began(&mut self, slot: SlotId, call: Weak<Call>) {
        self.slots.get(slot).call = Some(call);
    }

    /// Aborts all driver calls that run.
    pub(crate) fn abort_calls(&mut self, actions: &mut Actions<C, E>) {
        actions.extend(self.slots.iter().filter_map(|(slot, record)| Some(Action::Abort(slot, record.call.clone()?))));
    }

    /// What fills `slot` is aborted: its capacity is back at once.
    pub(crate) fn aborted(&mut self, slot: SlotId, now: Instant) {
        self.keep_promise(slot);
        self.slots.enter(slot, Phase::Aborted, now);
    }

    /// The thread that works for `slot` is written off; what it looks up opens nothing, so its capacity is back.
    pub(crate) fn abandoned(&mut self, slot: SlotId, now: Instant) {
        self.keep_promise(slot);
        self.slots.enter(slot, Phase::Abandoned, now);
    }

    /// The call in `slot` hangs and nobody can abort it.
    pub(crate) fn stuck(&mut self, slot: SlotId) {
        self.keep_promise(slot);
        self.slots.mark_stuck(slot);
    }

    /// What fills `slot` is being closed.
    pub(crate) fn closing(&mut self, slot: SlotId, reason: CloseReason, now: Instant) {
        self.keep_promise(slot);
        if self.slots.get(slot).phase != Phase::Aborted {
            self.slots.enter(slot, Phase::Closing, now);
        }
        self.counters.closed.count(reason);
    }
}
