//! Reading the state: its numbers, the holders, and a snapshot for the report of a request that was not served.

use crate::cause::Cause;
use crate::manager::AbortHandle;
use crate::meter::Loan;
use crate::report;
use crate::report::{Holder, Report};
use crate::slots::{Phase, Record, SlotId};
use crate::state::State;
use crate::stats::Stats;
use std::error::Error;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

impl<C, E: Error + Send + Sync + 'static> State<C, E> {
    pub(crate) fn stats(&self) -> Stats {
        let mut counters = self.counters.clone();
        let mut parked = 0;
        for (phase, meter) in self.metered() {
            let turns = meter.turns();
            parked += usize::from(turns.is_parked() && phase == Phase::Lent);
            counters.checked_out_at_once += turns.begun();
            counters.returned += turns.ended();
            counters.resets_skipped += turns.ended();
            meter.add_to(&mut counters.use_time);
        }
        // A loan that did not wait records no wait: these zeros follow from the counter.
        counters.wait_time.count_zeros(counters.checked_out_at_once);
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        let count = |phase| number(self.slots.count(phase));
        Stats {
            open: number(self.slots.open()),
            idle: number(self.slots.count(Phase::Idle) + parked),
            in_use: number(self.slots.count(Phase::Lent) - parked),
            opening: count(Phase::Opening),
            checking: count(Phase::Checking),
            resetting: count(Phase::Resetting),
            closing: count(Phase::Closing),
            waiting: number(self.queue.len()),
            aborted: count(Phase::Aborted),
            abandoned: count(Phase::Abandoned),
            stuck: number(self.slots.stuck()),
            max_size: number(self.rules.max_size),
            min_idle: number(self.rules.min_idle),
            ..counters
        }
    }

    /// Every loan, the longest first.
    pub(crate) fn holders(&self, now: Instant) -> Vec<Holder> {
        let out = self.slots.iter().filter(|(_, record)| record.is_out());
        let mut holders: Vec<Holder> = out.filter_map(|(_, record)| record.holder(now)).collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.held_for));
        holders
    }

    /// The material for the report of a request that waited in vain. It costs the same however many loans are out: at most [`LOOKED_AT`]
    /// of them are looked at, and those that may bypass the lock.
    pub(crate) fn snapshot(&mut self) -> Box<Snapshot<E>> {
        // The order in which loans began here does not apply to connections with a meter.
        let most = LOOKED_AT + self.fast.permit_count();
        let mut loans: Vec<_> = self.slots.loans(most).filter_map(|record| Some((record.id, record.loan()?))).collect();
        loans.sort_by_key(|(_, loan)| loan.since);
        loans.truncate(LOOKED_AT);
        Box::new(Snapshot {
            stats: self.stats(),
            loans,
            oldest_attempt: self.slots.oldest_opening().map(|record| record.since),
            last_error: self.last_error.clone(),
            remark: self.remarks.newest(),
            opens_no_more: self.opens_no_more(),
        })
    }

    /// The loans that are out, with their abort handles.
    pub(crate) fn lent_abort_handles(&self, now: Instant) -> Vec<(SlotId, Holder, Option<Weak<dyn AbortHandle>>)> {
        let lent = self.slots.iter().filter(|(_, record)| record.phase == Phase::Lent);
        lent.filter_map(|(slot, record)| Some((slot, record.holder(now)?, record.abort_handle.clone()))).collect()
    }

    /// The abort handle of the connection in `slot`, if it has one.
    pub(crate) fn abort_handle(&mut self, slot: SlotId) -> Option<Weak<dyn AbortHandle>> {
        self.slots.get(slot).abort_handle.clone()
    }

    /// Whether connection `id` in `slot` is still lent.
    pub(crate) fn is_lent(&self, slot: SlotId, id: u64) -> bool {
        let is_meant = |record: &&Record| record.id == id && record.phase == Phase::Lent;
        self.slots.find(slot).filter(is_meant).is_some_and(|record| record.loan().is_some())
    }

    /// How many slots are not free, whatever their phase.
    pub(crate) fn occupied(&self) -> usize {
        self.slots.occupied()
    }

    /// The progress of a pool that is being built.
    pub(crate) fn build_progress(&mut self, wanted: usize, now: Instant) -> BuildProgress<E> {
        match &self.last_error {
            _ if self.slots.open() >= wanted => BuildProgress::Ready,
            // In a pool at work a panic may be chance. In one that is being built it is a bug.
            Some((cause @ Cause::Panicked(_), _)) => BuildProgress::Failed(cause.clone()),
            Some((cause, _)) if self.gate.refuses(now) => BuildProgress::Failed(cause.clone()),
            _ => BuildProgress::Trying { look_again: self.gate.retry_at() },
        }
    }

    /// The last error on connecting, if it is the driver's.
    pub(crate) fn last_driver_error(&self) -> Option<Cause<E>> {
        match &self.last_error {
            Some((cause, _)) if cause.driver().is_some() => Some(cause.clone()),
            _ => None,
        }
    }
}

/// The state of the pool when a request was not served. The report is assembled outside the lock.
pub(crate) struct Snapshot<E> {
    stats: Stats,
    /// The longest loans, the longest first.
    loans: Vec<(u64, Loan)>,
    oldest_attempt: Option<Instant>,
    last_error: Option<(Cause<E>, Instant)>,
    remark: Option<(Arc<str>, Instant)>,
    opens_no_more: bool,
}

impl<E: Error + Send + Sync + 'static> Snapshot<E> {
    /// The report for `thread`, which waited for `waited` until `now`.
    pub(crate) fn report(self, pool: &str, waited: Duration, thread: usize, now: Instant) -> Box<Report> {
        let Self { stats, loans, oldest_attempt, last_error, remark, opens_no_more } = self;
        let age = |since: Instant| now.saturating_duration_since(since);
        // A task has no thread of its own.
        let is_own = |loan: &Loan| thread != 0 && loan.borrower.thread == thread;
        let own = loans.iter().filter(|(_, loan)| is_own(loan)).count();
        let holder = |&(id, Loan { since, borrower }): &(u64, Loan)| Holder {
            id,
            held_for: age(since),
            call_site: borrower.call_site,
            thread: borrower.number(),
        };
        let mut holders: Vec<Holder> = loans.iter().map(holder).collect();
        let sites = report::sites(&holders, SITES_TOLD);
        let looked_at = holders.len();
        holders.truncate(TOLD);
        Box::new(Report {
            pool: pool.to_owned(),
            waited,
            stats,
            looked_at,
            holders,
            sites,
            oldest_attempt: oldest_attempt.map(age),
            last_connect_error: last_error.map(|(cause, at)| (cause.to_error(), age(at))),
            remark: remark.map(|(remark, at)| (remark, age(at))),
            opens_no_more,
            held_by_this_thread: u32::try_from(own).unwrap_or(u32::MAX),
        })
    }
}

/// See [`State::build_progress`].
pub(crate) enum BuildProgress<E> {
    Ready,
    Failed(Cause<E>),
    Trying { look_again: Option<Instant> },
}

/// How many call sites the text of a report names at most, and how many holders the report lists.
const SITES_TOLD: usize = 3;
const TOLD: usize = 16;

/// How many of the longest loans are looked at, for their call sites and for those that the thread itself holds.
const LOOKED_AT: usize = 100;
