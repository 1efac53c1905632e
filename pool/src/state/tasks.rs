//! Waiters that are tasks. A thread that is woken comes; a task may not be polled again for long, or ever, though it is woken. So a task
//! is given what it waits for, instead of being told to come and look, and what it does not come for within `reclaim_after` is taken
//! back for the next in line. It keeps its place: when it is polled again, it stands where it stood.
//!
//! A thread that parks has its deadline kept by the system. That of a task is kept here, for there may be nobody else to keep it.

use crate::queue::{Key, Ticket};
use crate::seeded;
use crate::state::State;
use crate::state::actions::{Action, Actions, Delivery};
use crate::state::promises::Stall;
use crate::sync::after;
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

pub(super) struct Tasks {
    /// When those that wait run out of time.
    deadlines: BTreeSet<(Instant, Key)>,
    /// What was delivered to tasks, and when it is taken back: the oldest first. Most were collected long before.
    delivered: VecDeque<(Instant, Key)>,
    reclaim_after: Duration,
}

impl Tasks {
    pub(super) fn new(reclaim_after: Duration) -> Self {
        Self { deadlines: BTreeSet::new(), delivered: VecDeque::new(), reclaim_after }
    }

    /// When somebody must be woken, or something be taken back.
    pub(super) fn next_moment(&self) -> Option<Instant> {
        let deadline = self.deadlines.first().map(|&(at, _)| at);
        deadline.into_iter().chain(self.delivered.front().map(|&(at, _)| at)).min()
    }
}

impl<C, E> State<C, E> {
    /// A task that waits must be woken at this moment.
    pub(crate) fn ring_at(&mut self, ticket: &Ticket, at: Instant, actions: &mut Actions<C, E>) {
        self.queue.ring_at(ticket, at);
        self.tasks.deadlines.insert((at, self.queue.key(ticket)));
        self.want_alarm(at, actions);
    }

    /// A wait is over, or begins anew: no alarm is kept for it.
    fn stop_ringing(&mut self, ticket: &Ticket) {
        if let Some(at) = self.queue.stop_ringing(ticket) {
            self.tasks.deadlines.remove(&(at, self.queue.key(ticket)));
        }
    }

    /// A task is polled: takes what was delivered to it. Was that taken back, it has its old place in the queue again. It takes nothing
    /// else: a task may be polled at any time, and others may stand before it.
    pub(crate) fn collect(&mut self, ticket: &Ticket) -> Option<Delivery<C, E>> {
        self.stop_ringing(ticket);
        if self.queue.come_back(ticket) && self.closed && !seeded::bug("queues_again_in_a_closed_pool") {
            let delivered = self.queue.cancel(ticket);
            debug_assert!(delivered.is_none(), "BUG: something was delivered to one who was absent");
            self.counters.refused_closed += 1;
            return Some(Delivery::Closed);
        }
        let delivery = self.queue.collect(ticket)?;
        Some(self.counted(delivery))
    }

    /// For a seeded bug alone.
    pub(crate) fn has_delivery(&self, ticket: &Ticket) -> bool {
        self.queue.has_delivery(ticket)
    }

    /// A future that waited is dropped. What was delivered to it meanwhile goes to the next.
    pub(crate) fn abandon(
        &mut self,
        ticket: &Ticket,
        now: Instant,
        actions: &mut Actions<C, E>,
    ) -> Option<Delivery<C, E>> {
        self.stop_ringing(ticket);
        self.counters.cancelled += 1;
        match self.queue.cancel(ticket)? {
            Delivery::Connection(entry) => {
                self.reject(entry, now, actions);
                None
            }
            // What is in it is the user's, and is not dropped here.
            refusal => Some(refusal),
        }
    }

    /// While the first in the queue is a task, it is given what there is.
    pub(super) fn serve_tasks(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        while self.queue.head_task().is_some() {
            let Some(entry) = self.pop_good(now, actions) else { return };
            let borrower = self.queue.head_borrower().expect("somebody waits");
            self.deliver(entry, now, borrower, actions);
        }
    }

    /// A connection is about to be delivered. If that is to a task, it will be taken back.
    pub(super) fn expect_collection(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        let Some(key) = self.queue.head_task() else { return };
        if let Some(at) = after(now, self.tasks.reclaim_after) {
            self.tasks.delivered.push_back((at, key));
            self.want_alarm(at, actions);
        }
    }

    /// The pool is closed: whatever was not collected is not lent any more.
    pub(super) fn reclaim_all(&mut self, now: Instant, actions: &mut Actions<C, E>) {
        for (_, key) in std::mem::take(&mut self.tasks.delivered) {
            self.reclaim(key, now, actions);
        }
    }

    fn reclaim(&mut self, key: Key, now: Instant, actions: &mut Actions<C, E>) {
        if let Some(Delivery::Connection(entry)) = self.queue.take_back(key) {
            self.reject(entry, now, actions);
        }
    }

    /// An alarm rings. After a stall of the process nobody has had the time to come.
    pub(super) fn ring_tasks(&mut self, now: Instant, stall: Option<Stall>, actions: &mut Actions<C, E>) {
        while let Some(&(at, key)) = self.tasks.deadlines.first().filter(|(at, _)| *at <= now) {
            self.tasks.deadlines.remove(&(at, key));
            // Whether the process stood still shows here, and not by how late the task is polled.
            let _ = self.stalls.grace(at, now);
            actions.extend(self.queue.ring(key).map(Action::Wake));
        }
        if let Some(stall) = stall {
            self.tasks.delivered.iter_mut().for_each(|(at, _)| *at = (*at).max(stall.until));
        }
        while let Some(&(_, key)) = self.tasks.delivered.front().filter(|(at, _)| *at <= now) {
            self.tasks.delivered.pop_front();
            self.reclaim(key, now, actions);
        }
        if let Some(next) = self.tasks.next_moment() {
            self.want_alarm(next, actions);
        }
    }
}
