//! The waiters of the world, threads and tasks: their records, their places, and what a thread does when it looks.

use super::tasks::{Future, Place};
use super::world::{Broken, World, borrower};
use crate::queue::Ticket;
use crate::state::actions::Delivery;
use crate::waiter::Wake;
use std::sync::Arc;
use std::time::Instant;

pub(super) struct Waiting {
    pub(super) number: usize,
    pub(super) since: Instant,
    pub(super) ticket: Ticket,
    /// `None` for a thread.
    pub(super) future: Option<Future>,
    pub(super) wake: Wake,
}

/// How a request asks for a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Manner {
    /// Without waiting for one.
    Try,
    Thread,
    /// As a task, with this deadline.
    Task(Option<Instant>),
}

/// The content of a waiter's cell: a connection, or the notice that there will be none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Gift {
    Connection(u64),
    Word,
}

impl World {
    /// Puts a waiter behind all that have waited for longer.
    pub(super) fn stand(&mut self, waiting: Waiting) {
        let place = self.waiting.iter().position(|other| other.since > waiting.since);
        self.waiting.insert(place.unwrap_or(self.waiting.len()), waiting);
    }

    /// All requests without an answer: first those served, then the queue, then those whose delivery was reclaimed.
    pub(super) fn all_who_wait(&self) -> impl Iterator<Item = &Waiting> {
        self.served.iter().map(|(waiting, _)| waiting).chain(&self.waiting).chain(&self.absent)
    }

    /// An operation on a waiter.
    pub(super) fn on_waiter(&mut self, pick: usize, leave: Leave) {
        let (served, waiting) = (self.served.len(), self.waiting.len());
        let pick = pick % (served + waiting + self.absent.len()).max(1);
        let Some(it) = self.all_who_wait().nth(pick) else { return };
        if it.is_forgotten() && leave != Leave::AtOnce {
            return;
        }
        if pick < served {
            let (waiting, gift) = self.served.remove(pick);
            self.on_served(waiting, gift, leave);
        } else if pick < served + waiting {
            self.on_line(pick - served, leave);
        } else {
            let absent = self.absent.remove(pick - served - waiting);
            self.on_task(absent, Place::Absent, leave);
        }
    }

    /// On a waiter with a delivery.
    fn on_served(&mut self, waiting: Waiting, gift: Gift, leave: Leave) {
        if waiting.future.is_some() {
            return self.on_task(waiting, Place::Served(gift), leave);
        }
        self.unwake(&waiting);
        match (gift, self.ask(&waiting, leave)) {
            (Gift::Connection(id), Some(Delivery::Connection(entry))) => {
                assert_eq!(id, entry.id, "not what was delivered");
                self.obtained(waiting.number, entry);
                self.look_at_last(waiting.since, Manner::Thread);
            }
            (Gift::Word, Some(Delivery::Refused(_) | Delivery::Closed)) => self.check(),
            (gift, _) => panic!("lost: {gift:?}"),
        }
    }

    /// On a waiter in the queue without a delivery so far.
    fn on_line(&mut self, place: usize, leave: Leave) {
        let (since, number, now) = (self.waiting[place].since, self.waiting[place].number, self.now);
        let ahead: Vec<usize> = self.waiting[..place].iter().map(|other| other.number).collect();
        let waiting = self.waiting.remove(place);
        if waiting.future.is_some() {
            return self.on_task(waiting, Place::InLine(place), leave);
        }
        self.unwake(&waiting);
        match self.ask(&waiting, leave) {
            Some(Delivery::Connection(entry)) => {
                self.book.lent(entry.id, now);
                self.assert_lendable(entry.id);
                self.obtained(number, entry);
                let window = self.config.fairness_window;
                let overtaken = |other: &&Waiting| ahead.contains(&other.number) && now - other.since > window;
                assert_eq!(self.waiting.iter().find(overtaken).map(|other| other.number), None, "overtaken");
                self.look_at_last(since, Manner::Thread);
            }
            Some(_) => panic!("a notice that did not go to all"),
            None => {
                if leave == Leave::No {
                    self.waiting.insert(place, waiting);
                }
                self.check();
            }
        }
    }

    fn ask(&mut self, waiting: &Waiting, leave: Leave) -> Option<Delivery<(), Broken>> {
        let (now, ticket, borrower) = (self.now, &waiting.ticket, borrower(waiting.number));
        self.with(|state, actions| match leave {
            Leave::No => state.receive(ticket, now, borrower, actions),
            Leave::AfterLook => state.receive(ticket, now, borrower, actions).or_else(|| state.cancel(ticket)),
            Leave::AtOnce => state.cancel(ticket),
        })
    }

    pub(super) fn unwake(&mut self, waiting: &Waiting) {
        self.woken.retain(|woken| *woken != mark(&waiting.wake));
    }

    pub(super) fn is_woken(&self, waiting: &Waiting) -> bool {
        self.woken.contains(&mark(&waiting.wake))
    }
}

impl Waiting {
    /// It is never polled again.
    pub(super) fn is_forgotten(&self) -> bool {
        self.future.is_some_and(|future| future.is_forgotten)
    }
}

/// Whether the waiter leaves after its look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Leave {
    No,
    /// After its deadline: if the look finds nothing.
    AfterLook,
    /// Without a look, like a dropped task.
    AtOnce,
}

/// Identifies the thread or task that this wakes.
pub(super) fn mark(wake: &Wake) -> *const () {
    match wake {
        Wake::Thread(waiter) => Arc::as_ptr(waiter).cast(),
        Wake::Task(task) => Arc::as_ptr(task).cast(),
    }
}
