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
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        let count = |phase| number(self.slots.count(phase));
        Stats {
            open: number(self.slots.open()),
            idle: count(Phase::Idle),
            in_use: count(Phase::Lent),
            opening: count(Phase::Opening),
            checking: count(Phase::Checking),
            resetting: count(Phase::Resetting),
            closing: count(Phase::Closing),
            waiting: number(self.queue.len()),
            aborted: count(Phase::Aborted),
            abandoned: count(Phase::Abandoned),
            stuck: number(self.slots.stuck()),
            max_size: number(self.rules.max_size),
            ..counters
        }
    }

    /// Every loan, the longest first.
    pub(crate) fn holders(&self, now: Instant) -> Vec<Holder> {
        let out = self.slots.iter().filter(|(_, record)| record.is_out());
        let mut holders: Vec<Holder> = out.map(|(_, record)| record.holder(now)).collect();
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

    /// The loans that are out, with their abort handles.
    pub(crate) fn lent_abort_handles(&self, now: Instant) -> Vec<(SlotId, Holder, Option<Weak<dyn AbortHandle>>)> {
        let lent = self.slots.iter().filter(|(_, record)| record.phase == Phase::Lent);
        lent.map(|(slot, record)| (slot, record.holder(now), record.abort_handle.clone())).collect()
    }

    /// Is connection `id` in `slot` still lent?
    pub(crate) fn is_lent(&self, slot: SlotId, id: u64) -> bool {
        self.slots.iter().any(|(place, record)| place == slot && record.id == id && record.phase == Phase::Lent)
    }

    /// How many slots are not free, whatever for.
    pub(crate) fn occupied(&self) -> usize {
        self.slots.occupied()
    }

    /// How a pool that is being built fares.
    pub(crate) fn build_progress(&self, wanted: usize, now: Instant) -> BuildProgress<E> {
        match &self.last_error {
            _ if self.slots.open() >= wanted => BuildProgress::Ready,
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
