//! The assertions after every step.

use super::book::Trouble;
use super::jobs::{Fate, Work};
use super::waiting::Gift;
use super::world::World;
use crate::entry::Entry;
use crate::gate::Refusal;
use crate::reason::CloseReason;
use crate::slots::Phase;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

impl World {
    /// Compares the state with the book after each transaction.
    pub(super) fn check(&mut self) {
        self.find_deliveries();
        self.check_places();
        self.check_numbers();
        self.check_line();
    }

    /// Finds the waiters with a delivery in their cell. They must be the first in the queue, in order, and woken.
    fn find_deliveries(&mut self) {
        let lent: Vec<(usize, u64)> = self
            .state
            .slots
            .iter()
            .filter(|(_, record)| record.phase == Phase::Lent)
            .map(|(_, record)| (record.borrower.thread, record.id))
            .collect();
        self.find_what_was_reclaimed(&lent);
        while let Some(first) = self.waiting.first() {
            let Some(&(_, id)) = lent.iter().find(|(number, _)| *number == first.number) else { break };
            self.assert_lendable(id);
            let mut first = self.waiting.remove(0);
            first.note_delivery(self.now, self.config.reclaim_after);
            assert!(self.is_woken(&first), "a delivery to a sleeping waiter");
            self.book.lent(id, self.now);
            self.served.push((first, Gift::Connection(id)));
        }
        let out_of_turn = self.waiting.iter().any(|other| lent.iter().any(|(number, _)| *number == other.number));
        assert!(!out_of_turn, "served out of turn");
        if self.state.queue.is_empty() && !self.waiting.is_empty() {
            if !self.book.closed {
                self.check_refusal();
            }
            for waiting in std::mem::take(&mut self.waiting) {
                assert!(self.is_woken(&waiting), "a notice to a sleeping waiter");
                self.served.push((waiting, Gift::Word));
            }
        }
        assert_eq!(self.state.queue.len(), self.waiting.len());
    }

    /// Every open connection is in exactly one place.
    fn check_places(&self) {
        let idle = self.state.idle.iter().map(|entry| entry.id);
        let lent = self.lent.iter().map(|(_, entry)| entry.id);
        let cells = self.served.iter().filter_map(|(_, gift)| match gift {
            Gift::Connection(id) => Some(*id),
            Gift::Word => None,
        });
        let jobs = self.jobs.iter().filter_map(|job| match &job.work {
            Work::Open { .. } => None,
            Work::Check(entry) | Work::Reset(entry) | Work::Close(entry) => Some(entry.id),
        });
        let parked = self.parked();
        let places: Vec<u64> = idle.chain(lent).chain(cells).chain(jobs).chain(parked).collect();
        let distinct: BTreeSet<u64> = places.iter().copied().collect();
        assert_eq!(distinct.len(), places.len(), "a connection is in two places: {}", self.summary());
        assert!(distinct.iter().eq(self.book.alive.keys()), "a connection is lost: {}", self.summary());
    }

    /// The counts of the state equal those of the world.
    fn check_numbers(&self) {
        let stats = self.state.stats();
        let jobs = |kind: fn(&Work) -> bool| {
            self.jobs.iter().filter(|job| kind(&job.work) && matches!(job.fate, None | Some(Fate::Stuck))).count()
        };
        let fate = |fate| self.jobs.iter().filter(|job| job.fate == Some(fate)).count();
        let in_cells = self.served.iter().filter(|(_, gift)| *gift != Gift::Word).count();
        let (opening, checking) =
            (jobs(|work| matches!(work, Work::Open { .. })), jobs(|work| matches!(work, Work::Check(_))));
        let (resetting, closing) =
            (jobs(|work| matches!(work, Work::Reset(_))), jobs(|work| matches!(work, Work::Close(_))));
        let lent = self.lent.len() - self.aborted.len() + in_cells;
        // At any moment every loan is over or out.
        let loans = stats.checked_out_at_once + stats.checked_out_after_waiting - stats.rejected_at_checkout;
        assert_eq!(loans, stats.returned + (self.lent.len() + in_cells) as u64, "borrowed, returned, and out");
        let idle = self.state.idle.len() + self.parked().len();
        let told = [
            stats.idle,
            stats.in_use,
            stats.opening,
            stats.checking,
            stats.resetting,
            stats.closing,
            stats.aborted,
            stats.abandoned,
            stats.stuck,
            stats.waiting,
            stats.open,
        ];
        let counted = [
            idle,
            lent,
            opening,
            checking,
            resetting,
            closing,
            fate(Fate::Aborted) + self.aborted.len(),
            fate(Fate::Abandoned),
            fate(Fate::Stuck),
            self.waiting.len(),
            idle + lent + checking + resetting,
        ];
        assert_eq!(told.map(|number| number as usize), counted);
        assert_eq!(stats.opened, self.book.opened);
        assert_eq!(stats.open_failures, self.book.open_failures);
        assert_eq!((stats.cancelled, stats.timed_out), (self.book.cancelled, self.book.timed_out));
    }

    /// Nobody waits without a reason, or sleeps while a connection is available.
    fn check_line(&self) {
        if self.book.closed {
            assert!(self.waiting.is_empty() && self.state.idle.is_empty(), "a closed pool has waiters or idle ones");
            return;
        }
        let flawless = |id: &u64| self.book.flaw(*id, self.now, &self.config).is_none();
        let mut idle = self.state.idle.iter().rev().map(|entry| entry.id);
        if self.waiting.first().is_some_and(|first| first.future.is_some()) {
            assert!(
                !idle.any(|id| flawless(&id)),
                "a task is the first, and was not given the idle connection: {}",
                self.summary()
            );
        }
        let fresh = idle.take_while(flawless).count();
        for waiting in self.waiting.iter().take(fresh).filter(|waiting| waiting.future.is_none()) {
            assert!(self.is_woken(waiting), "asleep while a connection is idle: {}", self.summary());
        }
        if self.waiting.is_empty() {
            return;
        }
        let loans = self.lent.len() + self.served.len();
        let alarm = self.state.alarm.is_some_and(|at| self.alarm.is_some_and(|alarm| alarm <= at));
        let hope = self.somebody_comes() || !self.jobs.is_empty() || loans > 0 || alarm;
        assert!(hope, "a waiter has nothing to wait for: {}", self.summary());
        self.check_patience();
        assert!(!self.is_hopeless(), "left waiting without hope: {}", self.summary());
        // Unless growth is held back, each waiter has a call under way while there is room, or one attempt goes first.
        if self.book.untroubled && loans == 0 && self.taken() < self.config.max_size as usize {
            let calls =
                self.jobs.iter().filter(|job| job.fate.is_none() && !matches!(job.work, Work::Close(_))).count();
            let quiet = self.book.answered_at.max(self.book.opened_at).is_none_or(|at| at + QUIET <= self.now);
            let doubted = self.state.answered_at.max(self.state.opened_at) <= self.state.heard_before_doubt;
            let one_goes_first = calls > 0 && (quiet || doubted || self.state.gate.is_cold());
            let served = self.waiting.len() <= self.state.idle.len() + calls;
            assert!(served || one_goes_first, "a waiter has no call though there is room: {}", self.summary());
        }
    }

    /// Nothing can be opened before a fault is fixed, and no loan is likely to end.
    fn is_hopeless(&self) -> bool {
        let refused = |trouble: Trouble| trouble.kind == Refusal::Permanent && self.now < trouble.retry_at;
        let stats = self.state.stats();
        self.book.trouble.is_some_and(refused) && stats.open == 0
    }

    /// A connection is about to be opened: there must be room, and in an outage it must be the only probe.
    pub(super) fn check_opening(&self) {
        assert!(!self.book.closed);
        assert!(self.state.slots.taken() <= self.config.max_size as usize, "more than max_size");
        let Some(trouble) = self.book.trouble else { return self.check_number_of_openings() };
        assert!(self.now >= trouble.retry_at, "too early: {trouble:?}");
        let probes = self.jobs.iter().filter(|job| {
            matches!(job.work, Work::Open { .. }) && job.fate.is_none() && job.number >= trouble.first_probe
        });
        assert_eq!(probes.count(), 0, "a second probe: {trouble:?}");
    }

    pub(super) fn check_reason(&mut self, entry: &Entry<()>, reason: CloseReason) {
        let (now, config) = (self.now, self.config.clone());
        let aborted = self.state.slots.get(entry.slot_id).phase == Phase::Aborted;
        let (evictions, closed) = (self.book.evictions, self.book.closed);
        let facts = self.book.facts(entry.id);
        let right = match reason {
            CloseReason::Expired => facts.expires.is_some_and(|at| at <= now),
            CloseReason::Evicted => facts.evictions < evictions,
            CloseReason::Idle => now - facts.last_used >= config.idle_timeout,
            CloseReason::PoolClosed => closed,
            CloseReason::Overran => aborted || facts.condemned,
            CloseReason::Surplus => true,
            _ => facts.condemned,
        };
        assert!(right, "closed as {reason}: {facts:?}");
    }

    pub(super) fn check_leak(&mut self, id: u64) {
        let (now, leak_after) = (self.now, self.config.leak_after);
        let facts = self.book.facts(id);
        assert!(!std::mem::replace(&mut facts.leak_reported, true), "a leak reported twice");
        assert!(now - facts.lent_at >= leak_after, "no leak");
    }

    /// After the alarms have rung, every loan out for too long has been reported.
    pub(super) fn check_all_leaks_told(&self) {
        let lent = self.lent.iter().filter(|(_, entry)| !self.aborted.contains(&entry.slot_id));
        for (_, entry) in lent.filter(|_| !self.book.closed) {
            let facts = &self.book.alive[&entry.id];
            let leaked = self.now - facts.lent_at >= self.config.leak_after;
            assert!(facts.leak_reported || !leaked, "a leak that was not reported");
        }
    }

    /// A waiter is refused for lack of hope. That requires a fault that must be fixed, and nothing but old loans.
    pub(super) fn check_refusal(&self) {
        let trouble = self.book.trouble.expect("a refusal without trouble");
        assert_eq!(trouble.kind, Refusal::Permanent);
        assert!(self.now < trouble.retry_at);
        let stats = self.state.stats();
        assert_eq!(stats.open, stats.in_use, "refused while a connection may be ready soon");
        for (_, entry) in self.lent.iter().filter(|(_, entry)| !self.aborted.contains(&entry.slot_id)) {
            let held = self.now - self.book.alive[&entry.id].lent_at;
            assert!(held >= Duration::from_secs(1), "refused though a connection was lent {held:?} ago");
        }
    }

    pub(super) fn check_lifetime(&self, expires: Option<Instant>) {
        let Some(expires) = expires else { return assert_eq!(self.config.max_lifetime, Duration::MAX) };
        let life = expires - self.now;
        let shortest = self.config.max_lifetime.mul_f64(1.0 - self.config.lifetime_jitter);
        assert!(life <= self.config.max_lifetime && life >= shortest, "{life:?}");
    }

    /// A newcomer was served, which is allowed only while the head of the queue has not waited for long.
    pub(super) fn check_no_overtaking(&self, now: Instant) {
        if let Some(first) = self.waiting.first() {
            let waited = now - first.since;
            assert!(first.future.is_none(), "overtook a task at the head of the queue");
            assert!(waited <= self.config.fairness_window, "overtook a waiter after {waited:?}");
        }
    }

    pub(super) fn assert_lendable(&self, id: u64) {
        assert_eq!(self.book.flaw(id, self.now, &self.config), None, "lent: {}", self.summary());
    }

    /// A woken thread looks. A task may not be polled.
    pub(super) fn somebody_comes(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.future.is_none() && self.is_woken(waiting))
    }

    fn taken(&self) -> usize {
        self.state.slots.taken()
    }

    pub(super) fn summary(&self) -> String {
        format!("{:?}; trouble: {:?}; config: {:?}", self.state.stats(), self.book.trouble, self.config)
    }
}

const QUIET: Duration = Duration::from_secs(1);
