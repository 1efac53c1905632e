//! Reading the state in detail. All that takes more than copying is assembled outside the lock.

use crate::cause::Cause;
use crate::overview::{ConnectionInfo, Obstacle, Outage, WaiterInfo};
use crate::slots::{Borrower, Phase, Record, SlotId};
use crate::state::State;
use crate::waiter::Waiter;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The source of a [`WaiterInfo`].
pub(crate) struct Standing {
    waiter: Option<Arc<Waiter>>,
    borrower: Borrower,
    since: Instant,
    deadline: Option<Instant>,
}

/// The source of an [`Outage`].
pub(crate) struct Setback<E> {
    obstacle: Obstacle,
    since: Instant,
    failures: u32,
    retry_at: Instant,
    oldest_attempt: Option<Instant>,
    last_error: Option<(Cause<E>, Instant)>,
}

impl<C, E> State<C, E> {
    /// Every connection, in no particular order.
    pub(crate) fn connections(&self, now: Instant) -> Vec<ConnectionInfo> {
        self.slots.iter().map(|(slot, record)| self.connection(slot, record, now)).collect()
    }

    fn connection(&self, slot: SlotId, record: &Record, now: Instant) -> ConnectionInfo {
        let age = |since: Instant| now.saturating_duration_since(since);
        let holder = record.holder(now);
        // A parked connection has no holder, and can be lent at once.
        let phase = if record.phase == Phase::Lent && holder.is_none() { Phase::Idle } else { record.phase };
        let since = match (&holder, &record.meter) {
            (Some(holder), _) => holder.held_for,
            (None, Some(meter)) => age(meter.rests_since()),
            (None, None) => age(record.since),
        };
        ConnectionInfo {
            id: (record.id != 0).then_some(record.id),
            phase,
            in_phase_for: since,
            age: record.opened_at.map(age),
            uses: record.uses(),
            holder,
            is_stuck: record.is_stuck(),
            remark: self.remarks.of(slot),
        }
    }

    /// The waiters, in order; at most [`MOST_WAITERS`] of them.
    pub(crate) fn waiters(&self) -> Vec<Standing> {
        let standing = self.queue.iter().take(MOST_WAITERS).map(|waiting| Standing {
            waiter: waiting.wake.waiter().cloned(),
            borrower: waiting.borrower,
            since: waiting.since,
            deadline: waiting.deadline,
        });
        standing.collect()
    }

    /// The obstacle to new connections, if there is one.
    pub(crate) fn outage(&mut self, now: Instant) -> Option<Setback<E>> {
        let (obstacle, failures) = self.gate.obstacle()?;
        Some(Setback {
            obstacle,
            since: self.gate.trouble_since()?,
            failures,
            retry_at: self.gate.retry_at().unwrap_or(now),
            oldest_attempt: self.slots.oldest_opening().map(|record| record.since),
            last_error: self.last_error.clone(),
        })
    }
}

impl Standing {
    pub(crate) fn told(self, now: Instant) -> WaiterInfo {
        let Self { waiter, borrower, since, deadline } = self;
        WaiterInfo {
            waited: now.saturating_duration_since(since),
            left: deadline.map(|deadline| deadline.saturating_duration_since(now)),
            call_site: borrower.call_site,
            thread: borrower.number(),
            thread_name: waiter.and_then(|waiter| waiter.name()),
        }
    }
}

impl<E: Error + Send + Sync + 'static> Setback<E> {
    pub(crate) fn told(self, now: Instant) -> Outage {
        let age = |since: Instant| -> Duration { now.saturating_duration_since(since) };
        Outage {
            obstacle: self.obstacle,
            since: age(self.since),
            failures: self.failures,
            next_attempt: self.retry_at.saturating_duration_since(now),
            attempt_under_way: self.oldest_attempt.map(age),
            last_error: self.last_error.map(|(cause, at)| (cause.to_error(), age(at))),
        }
    }
}

/// A look costs about the same however many requests wait.
const MOST_WAITERS: usize = 1_000;
