//! Waiters that are tasks. A thread that is woken runs, but a task may not be polled for long after it is woken, or ever. So a task is
//! given its connection, instead of being notified, and a connection uncollected after `reclaim_after` goes to the next waiter. It
//! keeps its place: when it is polled again, it has its old one. Each time it has twice as long, up to sixteen times as long: if
//! executors are always late, connections would otherwise go from one task to the next unused.
//!
//! The system keeps the deadline of a thread that parks. This module keeps that of a task, because there may be no runtime to do so.

use crate::entry::Entry;
use crate::queue::{Key, Ticket};
use crate::seeded;
use crate::state::State;
use crate::state::actions::{Action, Actions, Delivery};
use crate::state::promises::Stall;
use crate::sync::after;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

pub(super) struct Tasks {
    /// When the waiting tasks run out of time.
    deadlines: BTreeSet<(Instant, Key)>,
    /// Uncollected deliveries to tasks. Each has a connection, so there are few.
    given: Vec<Given>,
    reclaim_after: Duration,
}

/// A connection that was delivered to a task and not collected.
struct Given {
    key: Key,
    /// When it is reclaimed; `None`: only when the pool is closed.
    until: Option<Instant>,
    /// The process was suspended, and the task was given a moment more.
    was_put_off: bool,
}

impl Tasks {
    pub(super) fn new(reclaim_after: Duration) -> Self {
        Self { deadlines: BTreeSet::new(), given: Vec::new(), reclaim_after }
    }

    /// When a task must be woken, or a connection reclaimed.
    pub(super) fn next_moment(&self) -> Option<Instant> {
        let deadline = self.deadlines.first().map(|&(at, _)| at);
        deadline.into_iter().chain(self.given.iter().filter_map(|given| given.until)).min()
    }

    fn forget(&mut self, key: Key) {
        if let Some(place) = self.given.iter().position(|given| given.key == key) {
            self.given.swap_remove(place);
        }
    }

    /// The tasks whose time to collect is over. After a stall of the process none has had the time, so each has a moment more, once.
    fn overdue(&mut self, now: Instant, stall: Option<Stall>) -> Vec<Key> {
        let mut overdue = Vec::new();
        self.given.retain_mut(|given| match (given.until.is_some_and(|until| until <= now), stall) {
            (false, _) => true,
            (true, Some(stall)) if !given.was_put_off => {
                (given.until, given.was_put_off) = (Some(stall.until), true);
                true
            }
            (true, _) => {
                overdue.push(given.key);
                false
            }
        });
        overdue
    }
}

impl<C, E> State<C, E> {
    /// Has a waiting task woken at this time, or now if that has passed.
    pub(crate) fn ring_at(&mut self, ticket: &Ticket, at: Instant, now: Instant, actions: &mut Actions<C, E>) {
        let at = at.max(now);
        self.queue.ring_at(ticket, at);
        self.tasks.deadlines.insert((at, self.queue.key(ticket)));
        self.want_alarm(at, actions);
    }

    /// A task was polled or dropped: it needs no alarm, and nothing will be reclaimed from it.
    fn attend(&mut self, ticket: &Ticket) {
        let key = self.queue.key(ticket);
        if let Some(at) = self.queue.stop_ringing(ticket) {
            self.tasks.deadlines.remove(&(at, key));
        }
        self.tasks.forget(key);
    }

    /// A task is polled: takes what was delivered to it. If that was reclaimed, the task has its old place in the queue again, and as
    /// the head it receives the next available connection. It takes nothing else: a task may be polled at any time, and others may be
    /// before it.
    pub(crate) fn collect(
        &mut self,
        ticket: &Ticket,
        now: Instant,
        actions: &mut Actions<C, E>,
    ) -> Option<Delivery<C, E>> {
        self.attend(ticket);
        if self.queue.come_back(ticket) {
            if self.closed && !seeded::bug("queues_again_in_a_closed_pool") {
                let delivered = self.queue.cancel(ticket);
                debug_assert!(delivered.is_none(), "BUG: something was delivered to one who was absent");
                self.counters.refused_closed += 1;
                return Some(Delivery::Closed);
            }
            self.serve_overdue(now, actions);
            self.serve_tasks(now, actions);
            self.tasks.forget(self.queue.key(ticket));
        }
        let delivery = self.queue.collect(ticket)?;
        Some(self.counted(delivery))
    }

    /// Whether a task may keep its delivered connection. If it collects late, the connection may have been evicted meanwhile, be at the
    /// end of its lifetime, or not have been proved for long.
    pub(crate) fn is_still_good(&self, entry: &Entry<C>, now: Instant) -> bool {
        let is_proved =
            self.is_above_suspicion(entry) && entry.fresh_until.is_none_or(|until| now <= until + RELIED_UPON);
        is_proved && self.unwanted(entry, now).is_none()
    }

    /// For a seeded bug alone.
    pub(crate) fn has_delivery(&self, ticket: &Ticket) -> bool {
        self.queue.has_delivery(ticket)
    }

    /// A future that waited is dropped. A connection delivered meanwhile goes to the next waiter.
    pub(crate) fn abandon(
        &mut self,
        ticket: &Ticket,
        now: Instant,
        actions: &mut Actions<C, E>,
    ) -> Option<Delivery<C, E>> {
        self.attend(ticket);
        self.counters.cancelled += 1;
        match self.queue.cancel(ticket)? {
            Delivery::Connection(entry) => {
                self.reject(entry, now, actions);
                None
            }
            // Its content is the user's, and is not dropped here.
            refusal => Some(refusal),
        }
    }

    /// While the head of the queue is a task, it receives the next available connection.
    pub(super) fn serve_tasks(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        while self.queue.head_task().is_some() && self.serve_head(now, actions) {}
    }

    /// A connection is about to be delivered to the head of the queue. If that is a task, this sets when it is reclaimed.
    pub(super) fn expect_collection(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        let Some(key) = self.queue.head_task() else { return };
        let patience = 1 << self.queue.missed(key).min(MOST_DOUBLINGS);
        let until = after(now, self.tasks.reclaim_after.saturating_mul(patience));
        self.tasks.given.push(Given { key, until, was_put_off: false });
        if let Some(until) = until {
            self.want_alarm(until, actions);
        }
    }

    /// The pool is closed: uncollected connections are no longer lent.
    pub(super) fn reclaim_all(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        for given in std::mem::take(&mut self.tasks.given) {
            self.reclaim(given.key, now, actions);
        }
    }

    fn reclaim(&mut self, key: Key, now: Instant, actions: &mut Actions<C, E>) {
        if let Some(Delivery::Connection(entry)) = self.queue.withdraw(key) {
            self.reject(entry, now, actions);
        }
    }

    /// An alarm rings: wakes the tasks whose deadline has passed, and reclaims uncollected connections.
    pub(super) fn ring_tasks(&mut self, now: Instant, stall: Option<Stall>, actions: &mut Actions<C, E>) {
        while let Some(&(at, key)) = self.tasks.deadlines.first().filter(|(at, _)| *at <= now) {
            self.tasks.deadlines.remove(&(at, key));
            // Here it shows whether the process was suspended, and not by how late the task is polled.
            let _ = self.stalls.grace(at, now);
            actions.extend(self.queue.ring(key).map(Action::Wake));
        }
        for key in self.tasks.overdue(now, stall) {
            self.reclaim(key, now, actions);
        }
        if let Some(next) = self.tasks.next_moment() {
            self.want_alarm(next, actions);
        }
    }
}

/// After this many doublings the time of a late task no longer grows, because it delays those behind it for as long.
const MOST_DOUBLINGS: u32 = 4;

/// For this long a connection that was fresh at its delivery is good enough, even if each loan requires a check.
const RELIED_UPON: Duration = Duration::from_millis(250);
