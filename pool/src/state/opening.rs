//! How many connections are opened for waiters and for `min_idle`, and which calls are given up to make room for them.

use crate::gate::Standing;
use crate::limit::Fuse;
use crate::slots::{Phase, SlotId};
use crate::state::State;
use crate::state::actions::{Action, Actions, Opening};
use crate::state::flow::Sight;
use crate::state::promises::PromiseKind;
use std::time::Instant;

/// What must be opened, and what is under way.
struct Demand {
    /// Waiters for whom no fresh connection is idle.
    unserved: usize,
    /// Those without a pending call to rely on.
    owed: usize,
    /// How many connections are missing from `min_idle`.
    shortfall: usize,
    /// Attempts to connect on which waiters rely.
    opening: usize,
    /// Calls that are being aborted. Their slots will serve waiters.
    aborting: usize,
}

/// How many attempts may run at the same time, before the server has admitted the first.
struct Trust {
    in_time: usize,
    /// Including those that are late.
    in_all: usize,
}

impl<C, E> State<C, E> {
    /// Opens connections for waiters that would go unserved, and for the shortfall of `min_idle`, as far as there is room and the gate
    /// allows.
    pub(super) fn open_for(&mut self, waiting: usize, now: Instant, actions: &mut Actions<C, E>) {
        let room = self.room();
        if room == 0 {
            return;
        }
        let demand = self.demand(waiting, room, now);
        let wanted = self.wanted(&demand, now);
        if wanted == 0 {
            return;
        }
        let standing = self.standing(&demand, now);
        for _ in 0..wanted.min(room).min(self.gate.allowance(now, standing)) {
            let slot = self.slots.take(now);
            self.promise(slot, now, PromiseKind::Open);
            let limit = self.gate.open_limit(self.patience.longest_opening());
            actions.push(Action::Open(Opening { slot, limit, generation: self.generation }));
        }
    }

    /// If no slot is free, late goodbyes make room for openings that the gate would allow now, or else lost resets and checks. No other
    /// call is given up before its limit.
    pub(super) fn make_room(&mut self, waiting: usize, now: Instant, actions: &mut Actions<C, E>) {
        let victims = self.promises.victims();
        let Some(surplus) = self.slots.taken().checked_sub(self.rules.max_size).filter(|_| victims > 0) else { return };
        if self.bearable() == 0 {
            return;
        }
        let demand = self.demand(waiting, victims, now);
        let wanted = self.wanted(&demand, now).min(demand.owed).min(demand.unserved);
        if wanted == 0 {
            return;
        }
        let mut standing = self.standing(&demand, now);
        standing.taken = standing.taken.saturating_sub(surplus + 1);
        let allowed = self.gate.allowance(now, standing);
        // Each call that is being aborted will be replaced by an opening.
        let mut left = wanted.min(allowed.saturating_sub(demand.aborting));
        if left == 0 {
            return;
        }
        let goodbyes: Vec<SlotId> = self.promises.late_closings().take(left + surplus).collect();
        for slot in goodbyes {
            left = left.saturating_sub(usize::from(self.abort(slot, now, actions)));
        }
        self.hasten(left + surplus, actions);
        if surplus == 0 {
            self.abort_lost(left.saturating_sub(self.promises.tally().hastened), now, actions);
        }
    }

    /// A call for a waiter that has had no thread for a while may never get one, because there may be no more: as many late goodbyes
    /// give up theirs, even though no slot is needed.
    pub(super) fn make_threads_free(&mut self, waiting: usize, now: Instant, actions: &mut Actions<C, E>) {
        let tally = self.promises.tally();
        let lacking = tally.threadless.min(waiting).saturating_sub(tally.closings_aborting);
        let goodbyes: Vec<SlotId> = self.promises.late_closings().take(lacking).collect();
        for slot in goodbyes {
            self.abort(slot, now, actions);
        }
    }

    /// Hastens late goodbyes that have not begun, up to this number. Each needs a thread, which may be unavailable. Therefore those
    /// under way are aborted first, and as many of them later as if nothing had been hastened.
    pub(super) fn hasten(&mut self, most: usize, actions: &mut Actions<C, E>) {
        let more = most.saturating_sub(self.promises.tally().hastened);
        let queued: Vec<SlotId> = self.promises.late_in_queue().take(more).collect();
        for slot in queued {
            self.promises.hasten(slot);
            actions.push(Action::Hasten(slot));
        }
    }

    /// Aborts lost calls, resets first. Not those that began before the last answer: the server answers others, so they have until their
    /// limit.
    fn abort_lost(&mut self, mut left: usize, now: Instant, actions: &mut Actions<C, E>) {
        let lost: Vec<(SlotId, Instant)> = self.promises.lost_calls(self.answered_at).take(left + MOST_KEPT).collect();
        for (slot, since) in lost {
            if left == 0 {
                return;
            }
            // Its session may be dead, or the server slow. As long as that is open, one call is given up to find out.
            let settled = self.is_settled(since, now);
            if !settled && !self.may_find_out(since, now) {
                continue;
            }
            let aborted = self.abort(slot, now, actions);
            left -= usize::from(aborted);
            if aborted && !settled {
                return self.raise_doubt(now);
            }
        }
    }

    fn may_find_out(&self, since: Instant, now: Instant) -> bool {
        let tally = self.promises.tally();
        let relies = self.queue.head_relies_until().is_none_or(|until| now < until);
        tally.openings == 0 && tally.aborting == 0 && !relies && !self.is_being_settled(since, now)
    }

    /// Gives up the call in `slot`, so that the slot serves a waiter. Returns whether there was one that could be given up.
    pub(super) fn abort(&mut self, slot: SlotId, now: Instant, actions: &mut Actions<C, E>) -> bool {
        let Some(&promise) = self.promises.get(slot) else { return false };
        let call = self.slots.get(slot).call.clone().filter(|call| call.strong_count() > 0);
        let Some(call) = call.filter(Fuse::can_abort) else {
            self.promises.leave(slot);
            return false;
        };
        actions.push(Action::Abort(slot, call));
        // It may have been about to answer: the next call has more time.
        self.patience.answered(promise.kind, now.saturating_duration_since(promise.since), now);
        self.promises.abort(slot);
        true
    }

    /// The demand for connections. Of the waiters that no longer rely on a check, up to `most` are counted beyond those that are
    /// provided for.
    fn demand(&self, waiting: usize, most: usize, now: Instant) -> Demand {
        let tally = self.promises.tally();
        let unserved = waiting.saturating_sub(self.fresh(now));
        let late_probe = self.promises.late_newest_opening().is_some_and(|since| self.gate.is_probe(since));
        let opening = tally.openings - tally.openings_late + usize::from(late_probe);
        let relied = tally.asked_relied + tally.closings_aborting + opening;
        let seen_to = opening + tally.aborting;
        // If no waiter relies on a check, the overdue ones are already among `unserved`.
        let overdue = if tally.asked_relied == 0 || self.is_calm(now) {
            0
        } else {
            self.queue.overdue(now, seen_to.saturating_add(most))
        };
        let owed = unserved.saturating_sub(relied).max(overdue.min(unserved).saturating_sub(seen_to));
        let ready = (self.idle.len() + tally.asked + tally.openings).saturating_sub(waiting);
        let most = if self.watchers.is_empty() { MOST_UNAWAITED } else { MOST_FOR_A_BUILD };
        let ahead = most.saturating_sub(self.unawaited(waiting));
        let shortfall = self.reserve().saturating_sub(ready).min(ahead);
        Demand { unserved, owed, shortfall, opening, aborting: tally.aborting }
    }

    /// Whether another call may begin for which no request waits.
    pub(super) fn bears_unawaited(&self) -> bool {
        self.unawaited(self.queue.len()) < MOST_UNAWAITED
    }

    /// How many openings and checks are under way beyond the number of waiters. Those that hang for good count, because each has a
    /// thread.
    fn unawaited(&self, waiting: usize) -> usize {
        let beyond = |phase| self.slots.count(phase).saturating_sub(waiting);
        beyond(Phase::Opening) + beyond(Phase::Checking)
    }

    /// How many more attempts may be under way, of those that are wanted. Those that hang count against the bound.
    fn wanted(&self, demand: &Demand, now: Instant) -> usize {
        // Two for a single waiter, because the first may hang.
        let for_waiters = demand.unserved.max(2);
        let most = if self.gate.has_trouble() {
            usize::MAX
        } else if self.gate.is_cold() {
            2
        } else if let Some(trust) = self.trust(now) {
            for_waiters.min(trust.in_all).max(2)
        } else {
            for_waiters + self.rules.min_idle
        };
        (demand.owed + demand.shortfall).min(most.saturating_sub(self.promises.tally().openings))
    }

    fn standing(&self, demand: &Demand, now: Instant) -> Standing {
        let circulating = self.slots.count(Phase::Lent) > 0;
        // An attempt that hangs for good is no sign of a full server.
        let hung = self.slots.count(Phase::Opening) - self.promises.tally().openings;
        // The openings that are needed beyond the loans that will have returned by the time that an opening ends.
        let excess = (demand.owed + demand.opening).saturating_sub(self.flow.expected());
        let trust = self.trust(now).map_or(usize::MAX, |trust| trust.in_time);
        Standing { taken: self.slots.taken() - hung, opening: demand.opening, circulating, excess, trust }
    }

    pub(super) fn sight(&self, waiting: usize, now: Instant) -> Sight {
        let mean = self.patience.mean_opening();
        // An attempt that has taken more than twice the mean shows that the mean no longer holds.
        let is_outdated = |since| now.saturating_duration_since(since) > mean * 2;
        let opening = match self.promises.oldest_opening() {
            Some(since) if is_outdated(since) => self.patience.spans(PromiseKind::Open).late,
            _ => mean,
        };
        Sight {
            lent: self.slots.count(Phase::Lent),
            loans: self.loans(),
            returned: self.counters.returned - self.fast.counted().1,
            mean_use: self.patience.mean_use(),
            waiting,
            opening,
        }
    }

    /// How far the server is trusted; `None`: it admits sessions.
    ///
    /// If there was no sign of life lately, one attempt goes first. A few go if the server answers but has admitted no session since the
    /// head of the queue began to wait. Each late attempt is followed by `AFTER_LATE` others, because the server may be slow, as long as
    /// an attempt that begins now would end in time for the waiters if it took no longer than the oldest has taken already.
    fn trust(&self, now: Instant) -> Option<Trust> {
        let first = match (self.is_quiet(now), self.lets_in(now)) {
            (true, _) => 1,
            (false, true) => return None,
            (false, false) => MOST_UNPROVED,
        };
        let in_time = |oldest| now.saturating_duration_since(oldest).saturating_mul(2) < self.shortest_timeout;
        let late =
            if self.promises.oldest_opening().is_some_and(in_time) { self.promises.tally().openings_late } else { 0 };
        let in_time = first + AFTER_LATE * late;
        Some(Trust { in_time, in_all: (in_time + late).min(MOST_UNANSWERED) })
    }

    pub(super) fn lets_in(&self, now: Instant) -> bool {
        self.opened_at.is_some_and(|at| {
            let is_recent = now.saturating_duration_since(at) < self.patience.mean_opening();
            is_recent || self.queue.head_since().is_none_or(|since| since <= at)
        })
    }

    /// Whether there has been no sign of life from the server for as long as an opening is in time, or since the last doubt.
    fn is_quiet(&self, now: Instant) -> bool {
        let (heard, quiet) = (self.answered_at.max(self.opened_at), self.patience.spans(PromiseKind::Open).late);
        heard <= self.heard_before_doubt || heard.is_none_or(|at| now.saturating_duration_since(at) >= quiet)
    }

    /// Whether the process was suspended just now. If so, no waiter is overdue.
    pub(super) fn is_calm(&self, now: Instant) -> bool {
        self.calm_until.is_some_and(|until| now < until)
    }

    /// When the next waiter ceases to rely on checks, if that changes anything.
    pub(super) fn next_impatience(&self, now: Instant) -> Option<Instant> {
        let tally = self.promises.tally();
        if tally.asked_relied == 0 {
            // One of the lost calls may be given up once the head of the queue no longer relies on it.
            return self.queue.head_relies_until().filter(|_| self.promises.victims() > 0);
        }
        self.queue.next_impatience(now, tally.openings + tally.aborting + self.room() + 1)
    }

    /// Whether nothing is opened until one of the calls that were given up returns.
    pub(super) fn opens_no_more(&self) -> bool {
        self.bearable() == 0
    }

    fn room(&self) -> usize {
        self.rules.max_size.saturating_sub(self.slots.taken()).min(self.bearable())
    }

    /// How many more calls that were given up may hang. They hold threads, so there is a limit.
    fn bearable(&self) -> usize {
        let lost = self.slots.count(Phase::Aborted) + self.slots.count(Phase::Abandoned);
        self.rules.max_size.saturating_mul(MOST_LOST).saturating_sub(lost)
    }
}

/// No connection is opened while this many times `max_size` calls were given up and have not returned.
const MOST_LOST: usize = 8;
/// How many lost calls are looked at beyond those that are needed, because the first ones may be impossible to abort.
const MOST_KEPT: usize = 8;
/// The maximum of openings and checks together for which no request waits. The lane of the goodbyes has as many threads.
const MOST_UNAWAITED: usize = 4;
/// The same while `build` waits for `min_idle`: its time-out covers all of them together.
const MOST_FOR_A_BUILD: usize = 16;
/// How many attempts go first if none has succeeded lately.
const MOST_UNPROVED: usize = 4;
/// How many attempts follow each late one.
const AFTER_LATE: usize = 2;
/// The maximum of attempts, late ones included, before such a server has admitted the first.
const MOST_UNANSWERED: usize = 16;
