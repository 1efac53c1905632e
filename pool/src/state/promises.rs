//! The driver calls under way that end with a connection or a free slot for a waiter.
//!
//! Each has two moments, fixed when it begins. From the first on it is late, and others are asked as well. From the second on it is
//! lost, and no waiter relies on it. Only an alarm that rings sets these flags. Totals are counted as the calls change: no transaction
//! walks over all of them.

use crate::slots::SlotId;
use crate::state::patience::Spans;
use crate::sync::after;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct Promises {
    calls: BTreeMap<SlotId, Promise>,
    /// The next moment of each call that has one.
    due: BTreeSet<(Instant, SlotId)>,
    /// The calls that may make room for a waiter, by rank, the oldest first.
    victims: [BTreeSet<(Instant, SlotId)>; RANKS],
    tally: Tally,
    /// The attempts to connect, the oldest first.
    openings: BTreeSet<(Instant, SlotId)>,
}

/// One driver call under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promise {
    pub(super) kind: PromiseKind,
    pub(super) since: Instant,
    late_at: Option<Instant>,
    lost_at: Option<Instant>,
    late: bool,
    lost: bool,
    /// It has a thread.
    begun: bool,
    /// When a goodbye gives up its thread for this call, if it has none until then.
    thread_at: Option<Instant>,
    /// That moment has come.
    threadless: bool,
    /// It is being aborted: its slot will serve the waiter.
    pub(super) aborting: bool,
    /// It has no thread, and is to end as soon as it has one. No waiter relies on that, because there may be none.
    pub(super) hastened: bool,
    /// It cannot be aborted: giving it up would free no slot.
    kept: bool,
    /// How often its moments were postponed because the process had been suspended.
    spared: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PromiseKind {
    Open,
    Check,
    Reset,
    /// A goodbye. `dead`: on a connection that is known to be dead.
    Close {
        dead: bool,
    },
}

/// How many calls there are of each kind that matters.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    /// Checks and resets that are neither late nor being aborted.
    pub(super) asked_in_time: usize,
    /// Those that are late and not being aborted.
    pub(super) asked_late: usize,
    /// Those that are not lost, or are being aborted.
    pub(super) asked_relied: usize,
    /// All checks and resets.
    pub(super) asked: usize,
    pub(super) openings: usize,
    pub(super) openings_late: usize,
    pub(super) closings: usize,
    pub(super) closings_aborting: usize,
    /// Calls of any kind that are being aborted.
    pub(super) aborting: usize,
    pub(super) hastened: usize,
    /// Calls for which a goodbye is to give up its thread.
    pub(super) threadless: usize,
}

/// A stall of the process: by how much the alarm was late, and until when nothing becomes due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stall {
    pub(super) by: Duration,
    pub(super) until: Instant,
}

impl Promises {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    pub(super) fn get(&self, slot: SlotId) -> Option<&Promise> {
        self.calls.get(&slot)
    }

    /// A call is ordered for `slot`.
    pub(super) fn make(&mut self, slot: SlotId, kind: PromiseKind, now: Instant, spans: Spans) {
        let _ = self.remove(slot);
        // Only goodbyes hold threads for long while no request waits for them.
        let may_lack = self.tally.closings > 0 && !matches!(kind, PromiseKind::Close { .. });
        let thread_at = after(now, WITHOUT_THREAD).filter(|_| may_lack);
        self.insert(slot, Promise { thread_at, ..Promise::new(kind, now, spans) });
    }

    /// The call in `slot` begins only now: its time counts from here.
    pub(super) fn begin(&mut self, slot: SlotId, now: Instant, spans: Spans) {
        if let Some(promise) = self.remove(slot) {
            self.insert(slot, Promise { begun: true, ..Promise::new(promise.kind, now, spans) });
        }
    }

    /// The call in `slot` has ended.
    pub(super) fn keep(&mut self, slot: SlotId) -> Option<Promise> {
        self.remove(slot)
    }

    /// The call in `slot` is being aborted for a waiter.
    pub(super) fn abort(&mut self, slot: SlotId) {
        if let Some(promise) = self.remove(slot) {
            self.insert(slot, Promise { aborting: true, hastened: false, ..promise });
        }
    }

    /// The goodbye in `slot` has not begun, and must end soon for a waiter.
    pub(super) fn hasten(&mut self, slot: SlotId) {
        if let Some(promise) = self.remove(slot) {
            self.insert(slot, Promise { hastened: true, ..promise });
        }
    }

    /// The call in `slot` cannot be aborted.
    pub(super) fn leave(&mut self, slot: SlotId) {
        if let Some(promise) = self.remove(slot) {
            self.insert(slot, Promise { kept: true, ..promise });
        }
    }

    /// Whether there is a check or a reset that is late.
    pub(super) fn has_late(&self) -> bool {
        self.tally.asked_late > 0
    }

    /// An alarm rings: calls that are due by now are late or lost. After a stall they are postponed instead, each at most twice.
    pub(super) fn ring(&mut self, now: Instant, stall: Option<Stall>) {
        while let Some(&(_, slot)) = self.due.first().filter(|(at, _)| *at <= now) {
            let Some(mut promise) = self.remove(slot) else { break };
            match stall {
                Some(stall) if promise.spared < MOST_SPARED => {
                    promise.spared += 1;
                    for moment in [&mut promise.thread_at, &mut promise.late_at, &mut promise.lost_at] {
                        *moment = moment.and_then(|at| after(at, stall.by)).map(|at| at.max(stall.until));
                    }
                }
                _ => {
                    let is_over = |moment: Option<Instant>| moment.is_some_and(|at| at <= now);
                    promise.threadless |= is_over(promise.thread_at);
                    promise.late |= is_over(promise.late_at);
                    promise.lost |= is_over(promise.lost_at);
                }
            }
            self.insert(slot, promise);
        }
    }

    /// When the next call becomes late or lost, or is found without a thread.
    pub(super) fn next_moment(&self) -> Option<Instant> {
        self.due.first().map(|&(at, _)| at)
    }

    /// When the oldest attempt to connect began.
    pub(super) fn oldest_opening(&self) -> Option<Instant> {
        self.openings.first().map(|&(since, _)| since)
    }

    /// When the newest attempt to connect began, if it is late.
    pub(super) fn late_newest_opening(&self) -> Option<Instant> {
        let (since, slot) = self.openings.last()?;
        self.calls.get(slot).filter(|promise| promise.late).map(|_| *since)
    }

    /// How many calls could make room, if necessary.
    pub(super) fn victims(&self) -> usize {
        self.victims.iter().map(BTreeSet::len).sum()
    }

    /// The late goodbyes under way that may make room, in their order.
    pub(super) fn late_closings(&self) -> impl Iterator<Item = SlotId> {
        self.victims[..LATE_IN_QUEUE].iter().flatten().map(|&(_, slot)| slot)
    }

    /// The late goodbyes that have not begun.
    pub(super) fn late_in_queue(&self) -> impl Iterator<Item = SlotId> {
        self.victims[LATE_IN_QUEUE..LOST_RESETS].iter().flatten().map(|&(_, slot)| slot)
    }

    /// The resets and then the checks that may make room, with the times at which they began: not those that began before `answered_at`.
    pub(super) fn lost_calls(&self, answered_at: Option<Instant>) -> impl Iterator<Item = (SlotId, Instant)> {
        let from = answered_at.map_or(Bound::Unbounded, |at| Bound::Included((at, 0)));
        let lost = self.victims[LOST_RESETS..].iter().flat_map(move |rank| rank.range((from, Bound::Unbounded)));
        lost.map(|&(since, slot)| (slot, since))
    }

    fn remove(&mut self, slot: SlotId) -> Option<Promise> {
        let promise = self.calls.remove(&slot)?;
        if let Some(moment) = promise.moment() {
            self.due.remove(&(moment, slot));
        }
        if let Some(rank) = promise.rank() {
            self.victims[rank].remove(&(promise.since, slot));
        }
        if promise.kind == PromiseKind::Open {
            self.openings.remove(&(promise.since, slot));
        }
        self.tally.change(&promise, |count, one| *count -= one);
        Some(promise)
    }

    fn insert(&mut self, slot: SlotId, promise: Promise) {
        if let Some(moment) = promise.moment() {
            self.due.insert((moment, slot));
        }
        if let Some(rank) = promise.rank() {
            self.victims[rank].insert((promise.since, slot));
        }
        if promise.kind == PromiseKind::Open {
            self.openings.insert((promise.since, slot));
        }
        self.tally.change(&promise, |count, one| *count += one);
        self.calls.insert(slot, promise);
    }
}

impl Promise {
    fn new(kind: PromiseKind, now: Instant, spans: Spans) -> Self {
        let (late_at, lost_at) = (after(now, spans.late), after(now, spans.lost));
        let (late, lost, begun, threadless) = (false, false, false, false);
        let (aborting, hastened, kept) = (false, false, false);
        let (thread_at, spared) = (None, 0);
        Self {
            kind,
            since: now,
            late_at,
            lost_at,
            late,
            lost,
            begun,
            thread_at,
            threadless,
            aborting,
            hastened,
            kept,
            spared,
        }
    }

    /// Whether it was postponed. If so, the time that it took reflects this process more than the server.
    pub(super) fn was_spared(&self) -> bool {
        self.spared > 0
    }

    /// Its next moment.
    fn moment(&self) -> Option<Instant> {
        let of_thread = self.thread_at.filter(|_| !self.threadless);
        let of_call = match (self.late, self.lost) {
            (false, _) => self.late_at,
            (true, false) => self.lost_at,
            (true, true) => None,
        };
        of_thread.into_iter().chain(of_call).min().filter(|_| !self.aborting && !self.hastened)
    }

    /// Its rank among the calls that make room for a waiter, if it is one. A goodbye without a thread needs one to make room, so the
    /// calls that may free a thread come before it.
    fn rank(&self) -> Option<usize> {
        match self.kind {
            _ if self.aborting || self.hastened || self.kept => None,
            PromiseKind::Close { dead } if self.late => Some(2 * usize::from(!self.begun) + usize::from(!dead)),
            PromiseKind::Reset if self.lost => Some(LOST_RESETS),
            PromiseKind::Check if self.lost => Some(LOST_RESETS + 1),
            _ => None,
        }
    }
}

impl Tally {
    fn change(&mut self, promise: &Promise, change: impl Fn(&mut usize, usize)) {
        let Promise { kind, late, lost, aborting, .. } = *promise;
        match kind {
            PromiseKind::Check | PromiseKind::Reset => {
                change(&mut self.asked, 1);
                change(&mut self.asked_in_time, usize::from(!late && !aborting));
                change(&mut self.asked_late, usize::from(late && !aborting));
                change(&mut self.asked_relied, usize::from(!lost || aborting));
            }
            PromiseKind::Open => {
                change(&mut self.openings, 1);
                change(&mut self.openings_late, usize::from(late));
            }
            PromiseKind::Close { .. } => {
                change(&mut self.closings, 1);
                change(&mut self.closings_aborting, usize::from(aborting));
            }
        }
        change(&mut self.aborting, usize::from(aborting));
        change(&mut self.hastened, usize::from(promise.hastened));
        change(&mut self.threadless, usize::from(promise.threadless && !aborting));
    }
}

/// Goodbyes under way, those to dead connections first; goodbyes that have not begun, in the same way; resets; checks.
const RANKS: usize = 6;
const LATE_IN_QUEUE: usize = 2;
const LOST_RESETS: usize = 4;
const MOST_SPARED: u8 = 2;
/// A call that has had no thread for this long may never get one.
const WITHOUT_THREAD: Duration = Duration::from_millis(25);
