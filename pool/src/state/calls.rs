//! What the crew reports to the state: how its driver calls ended, and what became of their slots.

use crate::entry::{Entry, Proof};
use crate::error::Cause;
use crate::gate::Refusal;
use crate::limit::Cell;
use crate::reason::CloseReason;
use crate::slots::{Phase, SlotId};
use crate::state::State;
use crate::state::todo::{Action, Todo};
use crate::sync::after;
use crate::waiter::Wake;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

impl<C, E> State<C, E> {
    /// A connection was opened in `slot`: it gets its number, and its time to live.
    pub(crate) fn admit(&mut self, entry: &mut Entry<C>, took: Duration, now: Instant, todo: &mut Todo<C, E>) {
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
        let record = self.slots.get(entry.slot);
        record.id = entry.id;
        record.line = entry.line.as_ref().map(Arc::downgrade);
        self.gate.opened(self.slots.taken(), self.rules.max_size);
        todo.extend(self.last_error.take().map(|(cause, _)| Action::Drop(cause)));
        self.tally.opened += 1;
        self.tally.open_time.record(took);
    }

    /// An attempt to connect in `slot` failed; the slot is still taken.
    pub(crate) fn open_failed(&mut self, refusal: Refusal, cause: Cause<E>, now: Instant, todo: &mut Todo<C, E>) {
        let first = self.gate.failed(now, refusal, self.open());
        if first && refusal == Refusal::Unavailable {
            self.suspect();
        }
        self.tell_failure(cause, now, todo);
    }

    /// An attempt that began in `generation` was refused for good. If there was an eviction meanwhile, that says nothing of
    /// the password, or the like, that holds now.
    pub(crate) fn open_refused(&mut self, generation: u64, cause: Cause<E>, now: Instant, todo: &mut Todo<C, E>) {
        if generation == self.generation {
            self.open_failed(Refusal::Permanent, cause, now, todo);
        } else {
            self.tell_failure(cause, now, todo);
        }
    }

    fn tell_failure(&mut self, cause: Cause<E>, now: Instant, todo: &mut Todo<C, E>) {
        self.tally.open_failures += 1;
        todo.extend(self.onlookers.drain(..).map(Action::Wake));
        todo.extend(self.last_error.replace((cause, now)).map(|(cause, _)| Action::Drop(cause)));
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

    /// To be woken when a connection has been opened or could not be, or when the closed pool is empty.
    pub(crate) fn look_on(&mut self, wake: Wake) {
        self.onlookers.push(wake);
    }

    /// `slot` is free, and the connection that filled it, if any, is gone.
    pub(crate) fn release(&mut self, slot: SlotId, todo: &mut Todo<C, E>) {
        self.keep_promise(slot);
        if self.slots.get(slot).phase == Phase::Severed {
            todo.push(Action::Crew(-1));
        }
        #[cfg(not(seeded_bug = "failed_connect_keeps_slot"))]
        self.slots.free(slot);
    }

    pub(crate) fn phase(&mut self, slot: SlotId) -> Phase {
        self.slots.get(slot).phase
    }

    /// What fills `slot` is a connection that its holder keeps.
    pub(crate) fn detached(&mut self, slot: SlotId, now: Instant, todo: &mut Todo<C, E>) {
        let used = now.saturating_duration_since(self.slots.get(slot).since);
        self.tally.returned += 1;
        self.tally.use_time.record(used);
        self.tally.closed.count(CloseReason::Detached);
        self.release(slot, todo);
    }

    /// A driver call begins in `slot`.
    pub(crate) fn call_began(&mut self, slot: SlotId, call: Weak<Cell>) {
        self.slots.get(slot).call = Some(call);
    }

    /// Cuts all driver calls that run.
    pub(crate) fn cut_calls(&mut self, todo: &mut Todo<C, E>) {
        todo.extend(self.slots.iter().filter_map(|(slot, record)| Some(Action::Cut(slot, record.call.clone()?))));
    }

    /// The line of what fills `slot` is cut: its capacity is back at once. Until the call that was running on it returns
    /// it may hold a thread of the crew, so the crew may have one more.
    pub(crate) fn severed(&mut self, slot: SlotId, now: Instant, todo: &mut Todo<C, E>) {
        self.keep_promise(slot);
        if self.slots.get(slot).phase != Phase::Severed {
            todo.push(Action::Crew(1));
        }
        self.slots.enter(slot, Phase::Severed, now);
    }

    /// The thread that works for `slot` is written off; what it looks up opens nothing, so its capacity is back.
    pub(crate) fn abandoned(&mut self, slot: SlotId, now: Instant) {
        self.keep_promise(slot);
        self.slots.enter(slot, Phase::Abandoned, now);
    }

    /// The call in `slot` hangs and nobody can cut it.
    pub(crate) fn stuck(&mut self, slot: SlotId) {
        self.keep_promise(slot);
        self.slots.mark_stuck(slot);
    }

    /// What fills `slot` is being closed.
    pub(crate) fn closing(&mut self, slot: SlotId, reason: CloseReason, now: Instant) {
        self.keep_promise(slot);
        if self.slots.get(slot).phase != Phase::Severed {
            self.slots.enter(slot, Phase::Closing, now);
        }
        self.tally.closed.count(reason);
    }
}
