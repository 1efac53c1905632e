//! Whether anything is wrong. The answer comes from what the state has recorded: no server is asked, and nothing changes.

use crate::cause::Cause;
use crate::health::Health;
use crate::report::Holder;
use crate::slots::Phase;
use crate::state::State;
use std::error::Error;
use std::time::{Duration, Instant};

/// Like [`Health`], but its texts are assembled outside the lock.
pub(crate) enum Condition<E> {
    Down { since: Duration, cause: Option<Cause<E>> },
    Other(Health),
}

impl<C, E> State<C, E> {
    pub(crate) fn health(&self, now: Instant) -> Condition<E> {
        if self.closed {
            return Condition::Other(Health::Closed);
        }
        if let Some(holders) = self.stuck_holders(now) {
            return Condition::Other(Health::Stuck { holders });
        }
        if let Some(since) = self.gate.trouble_since().filter(|_| self.slots.open() == 0) {
            let cause = self.last_error.as_ref().map(|(cause, _)| cause.clone());
            return Condition::Down { since: now.saturating_duration_since(since), cause };
        }
        if self.queue.is_empty() {
            return Condition::Other(Health::Up);
        }
        Condition::Other(Health::Busy { expected_wait: self.expected_wait(now) })
    }

    /// All holders, if each has held its connection for too long. `None` if they do not occupy the whole pool.
    fn stuck_holders(&self, now: Instant) -> Option<Vec<Holder>> {
        if self.slots.count(Phase::Lent) + self.slots.stuck() < self.rules.max_size {
            return None;
        }
        let lent = self.slots.iter().filter(|(_, record)| record.phase == Phase::Lent);
        // A parked connection has no holder, and can be lent at once.
        let mut holders = lent.map(|(_, record)| record.holder(now)).collect::<Option<Vec<_>>>()?;
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.held_for));
        holders.iter().all(|holder| holder.held_for >= STUCK_AFTER).then_some(holders)
    }

    /// The wait of a request that arrives now: it and all waiters before it have one loan each, on all connections. Or the wait of the
    /// head of the queue, if that is longer: then loans have become slower than they were.
    fn expected_wait(&self, now: Instant) -> Duration {
        let rounds = (self.queue.len() + 1).div_ceil(self.slots.open().max(1));
        let by_loans = self.patience.mean_use().saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX));
        let first = self.queue.head_since().map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        by_loans.max(first)
    }
}

impl<E: Error + Send + Sync + 'static> Condition<E> {
    pub(crate) fn told(self) -> Health {
        match self {
            Self::Down { since, cause } => Health::Down { since, cause: cause.map(|cause| cause.to_error()) },
            Self::Other(health) => health,
        }
    }
}

/// A loan that has lasted for this long does not look like one that ends.
const STUCK_AFTER: Duration = Duration::from_secs(60);
