//! Reading the state: its numbers, who holds what, and the report for somebody who was not served.

use crate::error;
use crate::error::{Cause, Holder, Report};
use crate::manager::AbortHandle;
use crate::slots::{Phase, SlotId};
use crate::state::State;
use crate::stats::Stats;
use std::error::Error;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

impl<C, E: Error + Send + Sync + 'static> State<C, E> {
    pub(crate) fn stats(&self) -> Stats {
        let mut counters = self.counters.clone();
        // Left out on the way of a loan that does not wait: they can be told from the counter.
        counters.wait_time.count_zeros(counters.checked_out_at_once);
        let count = |phase| u32::try_from(self.slots.count(phase)).unwrap_or(u32::MAX);
        let (idle, in_use) = (count(Phase::Idle), count(Phase::Lent));
        let (checking, resetting) = (count(Phase::Checking), count(Phase::Resetting));
        Stats {
            open: idle + in_use + checking + resetting,
            idle,
            in_use,
            opening: count(Phase::Opening),
            checking,
            resetting,
            closing: count(Phase::Closing),
            waiting: u32::try_from(self.queue.len()).unwrap_or(u32::MAX),
            aborted: count(Phase::Aborted),
            abandoned: count(Phase::Abandoned),
            stuck: u32::try_from(self.slots.stuck()).unwrap_or(u32::MAX),
            max_size: u32::try_from(self.rules.max_size).unwrap_or(u32::MAX),
            ..counters
        }
    }

    /// Every loan, the longest first.
    pub(crate) fn holders(&self, now: Instant) -> Vec<Holder> {
        let mut holders: Vec<Holder> = self
            .slots
            .iter()
            .filter(|(_, record)| record.is_out())
            .map(|(_, record)| Holder {
                id: record.id,
                held_for: now.saturating_duration_since(record.since),
                call_site: record.borrower.call_site,
            })
            .collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.held_for));
        holders
    }

    /// What there is to say to one who waited for `waited` in vain.
    pub(crate) fn report(&self, pool: &str, waited: Duration, thread: usize, now: Instant) -> Box<Report> {
        let mut holders = self.holders(now);
        let sites = error::sites(&holders, SITES_TOLD);
        holders.truncate(TOLD);
        let by_this_thread =
            self.slots.iter().filter(|(_, r)| r.phase == Phase::Lent && r.borrower.thread == thread).count();
        Box::new(Report {
            pool: pool.to_owned(),
            waited,
            stats: self.stats(),
            holders,
            sites,
            last_connect_error: self
                .last_error
                .as_ref()
                .map(|(cause, at)| (cause.to_error(), now.saturating_duration_since(*at))),
            held_by_this_thread: u32::try_from(by_this_thread).unwrap_or(u32::MAX),
        })
    }

    /// A request ran out of time.
    pub(crate) fn timed_out(&mut self, waited: Duration) {
        self.counters.timed_out += 1;
        self.counters.wait_time.record(waited);
    }

    pub(crate) fn reset_ended(&mut self, ok: bool) {
        let counter = if ok { &mut self.counters.resets_done } else { &mut self.counters.resets_failed };
        *counter += 1;
    }

    /// The loans that are out, with their abort handles.
    pub(crate) fn lent_abort_handles(&self, now: Instant) -> Vec<(SlotId, Holder, Option<Weak<dyn AbortHandle>>)> {
        let lent = self.slots.iter().filter(|(_, record)| record.phase == Phase::Lent);
        lent.map(|(slot, record)| {
            let held_for = now.saturating_duration_since(record.since);
            let holder = Holder { id: record.id, held_for, call_site: record.borrower.call_site };
            (slot, holder, record.abort_handle.clone())
        })
        .collect()
    }

    /// Is connection `id` in `slot` still lent?
    pub(crate) fn is_lent(&mut self, slot: SlotId, id: u64) -> bool {
        self.slots.iter().any(|(place, record)| place == slot && record.id == id && record.phase == Phase::Lent)
    }

    /// How many slots are not free, whatever for.
    pub(crate) fn occupied(&self) -> usize {
        self.slots.occupied()
    }

    /// How a pool that is being built fares.
    pub(crate) fn build_progress(&self, wanted: usize, now: Instant) -> BuildProgress<E> {
        match &self.last_error {
            _ if self.open() >= wanted => BuildProgress::Ready,
            Some((Cause::Driver(error), _)) if self.is_hopeless(now) => BuildProgress::Failed(Arc::clone(error)),
            _ => BuildProgress::Trying { look_again: self.gate.retry_at() },
        }
    }

    /// The driver's last error on connecting.
    pub(crate) fn last_driver_error(&self) -> Option<Arc<E>> {
        match &self.last_error {
            Some((Cause::Driver(error), _)) => Some(Arc::clone(error)),
            _ => None,
        }
    }
}

/// See [`State::build_progress`].
pub(crate) enum BuildProgress<E> {
    Ready,
    Failed(Arc<E>),
    Trying { look_again: Option<Instant> },
}

/// A report lists at most this many holders, and its text names this many call sites.
const SITES_TOLD: usize = 3;
const TOLD: usize = 16;
