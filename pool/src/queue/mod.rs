//! The queue of waiters: first come, first served. A delivery, a cancellation and a look at the head cost the same with one waiter as
//! with ten thousand.
//!
//! Independent of connections: deliveries are of type `T`. A delivery that is not collected can be withdrawn. Then its waiter is
//! *absent*: out of the queue, until it asks again and has its old place.

#[cfg(all(test, not(loom)))]
mod tests;

use crate::seeded;
use crate::slots::Borrower;
use crate::waiter::Wake;
use std::time::Instant;

pub(crate) struct Queue<T> {
    nodes: Vec<Node<T>>,
    vacant: Vec<usize>,
    head: Option<usize>,
    tail: Option<usize>,
    len: usize,
    /// The waiters before `cursor` were notified in this round: `notified` of them, the head first.
    round: u64,
    cursor: Option<usize>,
    notified: usize,
}

/// A waiter's place, in the queue or (after a delivery) beside it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ticket(usize);

/// A waiter's place, valid only while the waiter holds its ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(usize);

/// A waiter, as [`Queue::iter`] shows it.
pub(crate) struct Waiting<'q> {
    pub(crate) wake: &'q Wake,
    pub(crate) borrower: Borrower,
    pub(crate) since: Instant,
    pub(crate) deadline: Option<Instant>,
}

struct Node<T> {
    /// `None` once the waiter has left.
    wake: Option<Wake>,
    borrower: Borrower,
    since: Instant,
    /// Until when this waiter relies on a check; `None` means as long as it waits.
    relies_until: Option<Instant>,
    /// Until when it waits; `None` means without end.
    deadline: Option<Instant>,
    /// When a task must be woken even without a delivery.
    rings_at: Option<Instant>,
    /// The delivery. Such a node is out of the queue.
    cell: Option<T>,
    /// Whether the delivery was withdrawn, and how often that has happened.
    is_absent: bool,
    missed: u32,
    before: Option<usize>,
    behind: Option<usize>,
    round: u64,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            vacant: Vec::new(),
            head: None,
            tail: None,
            len: 0,
            round: 1,
            cursor: None,
            notified: 0,
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Since when the head of the queue has waited.
    #[inline]
    pub(crate) fn head_since(&self) -> Option<Instant> {
        self.head.map(|head| self.nodes[head].since)
    }

    /// All waiters, the head first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Waiting<'_>> {
        self.nodes_in_line().filter_map(|Node { wake, borrower, since, deadline, .. }| {
            Some(Waiting { wake: wake.as_ref()?, borrower: *borrower, since: *since, deadline: *deadline })
        })
    }

    /// The borrower at the head of the queue.
    pub(crate) fn head_borrower(&self) -> Option<Borrower> {
        self.head.map(|head| self.nodes[head].borrower)
    }

    /// Until when the head of the queue relies on a check.
    pub(crate) fn head_relies_until(&self) -> Option<Instant> {
        self.head.and_then(|head| self.nodes[head].relies_until)
    }

    /// How many of the first `most` waiters no longer rely on a check, counted from the head up to the first that still does.
    pub(crate) fn overdue(&self, now: Instant, most: usize) -> usize {
        self.impatience().take(most).take_while(|until| until.is_some_and(|until| until <= now)).count()
    }

    /// When the first of the first `most` waiters that still relies on a check will cease to.
    pub(crate) fn next_impatience(&self, now: Instant, most: usize) -> Option<Instant> {
        self.impatience().take(most).find(|until| until.is_none_or(|until| until > now)).flatten()
    }

    fn impatience(&self) -> impl Iterator<Item = Option<Instant>> {
        self.nodes_in_line().map(|node| node.relies_until)
    }

    fn nodes_in_line(&self) -> impl Iterator<Item = &Node<T>> {
        let places = std::iter::successors(self.head, |&place| self.nodes[place].behind);
        places.map(|place| &self.nodes[place])
    }

    /// Joins the queue behind all waiters that have waited longer: at its end, or near its head if this request received a dead
    /// connection.
    pub(crate) fn join(
        &mut self,
        wake: Wake,
        borrower: Borrower,
        since: Instant,
        relies_until: Option<Instant>,
        deadline: Option<Instant>,
    ) -> Ticket {
        let wake = Some(wake);
        let (rings_at, cell, before, behind) = (None, None, None, None);
        let (is_absent, missed, round) = (false, 0, 0);
        let node = Node {
            wake,
            borrower,
            since,
            relies_until,
            deadline,
            rings_at,
            cell,
            is_absent,
            missed,
            before,
            behind,
            round,
        };
        let place = match self.vacant.pop() {
            Some(place) => {
                self.nodes[place] = node;
                place
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        self.link(place);
        Ticket(place)
    }

    /// Puts a waiter behind all that have waited longer.
    fn link(&mut self, place: usize) {
        let before = self.last_before(self.nodes[place].since);
        let behind = before.map_or(self.head, |before| self.nodes[before].behind);
        let node = &mut self.nodes[place];
        (node.before, node.behind, node.round) = (before, behind, 0);
        match before {
            Some(before) => self.nodes[before].behind = Some(place),
            None => self.head = Some(place),
        }
        match behind {
            Some(behind) => self.nodes[behind].before = Some(place),
            None => self.tail = Some(place),
        }
        self.len += 1;
        if behind.is_some_and(|behind| self.nodes[behind].round == self.round) {
            self.renew();
        } else if self.cursor == behind {
            self.cursor = Some(place);
        }
    }

    /// The head of the queue, if it is a task, which may not be polled after it is woken.
    #[inline]
    pub(crate) fn head_task(&self) -> Option<Key> {
        let place = self.head?;
        let is_task = self.nodes[place].wake.as_ref().is_some_and(Wake::is_task);
        is_task.then_some(Key(place))
    }

    /// Withdraws what was delivered to this waiter, which has not collected it. The waiter keeps its place for when it asks again.
    pub(crate) fn withdraw(&mut self, Key(place): Key) -> Option<T> {
        let value = self.nodes[place].cell.take();
        if value.is_some() && seeded::bug("strikes_out_who_did_not_come") {
            self.vacate(place);
        } else {
            let node = &mut self.nodes[place];
            node.is_absent = value.is_some();
            node.missed += u32::from(node.is_absent);
        }
        value
    }

    /// How often this waiter has not collected a delivery.
    pub(crate) fn missed(&self, Key(place): Key) -> u32 {
        self.nodes[place].missed
    }

    /// A waiter whose delivery was withdrawn asks again. Returns whether it is one.
    pub(crate) fn come_back(&mut self, ticket: &Ticket) -> bool {
        let is_absent = std::mem::take(&mut self.nodes[ticket.0].is_absent);
        if is_absent {
            self.link(ticket.0);
        }
        is_absent
    }

    /// Whether something was delivered to this waiter.
    pub(crate) fn has_delivery(&self, ticket: &Ticket) -> bool {
        self.nodes[ticket.0].cell.is_some()
    }

    pub(crate) fn key(&self, ticket: &Ticket) -> Key {
        Key(ticket.0)
    }

    /// Takes the time at which this waiter must be woken even without a delivery, if that is still to come.
    pub(crate) fn stop_ringing(&mut self, ticket: &Ticket) -> Option<Instant> {
        self.nodes[ticket.0].rings_at.take()
    }

    /// Sets when this waiter must be woken even without a delivery.
    pub(crate) fn ring_at(&mut self, ticket: &Ticket, at: Instant) {
        self.nodes[ticket.0].rings_at = Some(at);
    }

    /// The time that was set by [`ring_at`](Self::ring_at) has come.
    pub(crate) fn ring(&mut self, Key(place): Key) -> Option<Wake> {
        self.nodes[place].rings_at = None;
        self.nodes[place].wake.clone()
    }

    /// The last waiter that began to wait at `since` or before. Searches from both ends at once: a newcomer belongs near one of them,
    /// however long the queue.
    fn last_before(&self, since: Instant) -> Option<usize> {
        let (mut first, mut last) = (self.head?, self.tail?);
        loop {
            if self.nodes[last].since <= since {
                return Some(last);
            }
            if self.nodes[first].since > since {
                return self.nodes[first].before;
            }
            (first, last) = (self.nodes[first].behind?, self.nodes[last].before?);
        }
    }

    /// Delivers `value` to the head of the queue, which leaves it. The queue must not be empty.
    pub(crate) fn deliver(&mut self, value: T) -> Wake {
        let head = self.head.expect("somebody waits");
        self.unlink(head);
        let node = &mut self.nodes[head];
        node.cell = Some(value);
        match &node.wake {
            // A task may have to be woken again.
            Some(wake) if wake.is_task() => wake.clone(),
            _ => node.wake.take().expect("one who waits can be woken"),
        }
    }

    /// Takes what was delivered, if anything. The ticket is then used up.
    pub(crate) fn collect(&mut self, ticket: &Ticket) -> Option<T> {
        let value = self.nodes[ticket.0].cell.take()?;
        self.vacate(ticket.0);
        Some(value)
    }

    /// Leaves the queue. Returns what was delivered to the waiter before it could leave.
    pub(crate) fn cancel(&mut self, ticket: &Ticket) -> Option<T> {
        let delivered = self.collect(ticket);
        if delivered.is_none() {
            if !self.nodes[ticket.0].is_absent {
                self.unlink(ticket.0);
            }
            self.vacate(ticket.0);
        }
        delivered
    }

    /// Wakes those of the first `count` waiters that have not been notified in this round.
    #[inline]
    pub(crate) fn notify(&mut self, count: usize, mut wake: impl FnMut(Wake)) {
        while self.notified < count {
            let Some(place) = self.cursor else { return };
            let node = &mut self.nodes[place];
            node.round = self.round;
            self.cursor = node.behind;
            self.notified += 1;
            wake(node.wake.clone().expect("one who waits can be woken"));
        }
    }

    /// A notified waiter looked, and found nothing: the head must be notified again. (Others that have not looked yet may be notified
    /// twice, which costs nothing for a thread that is awake already.)
    #[inline]
    pub(crate) fn renew(&mut self) {
        self.round += 1;
        (self.cursor, self.notified) = (self.head, 0);
    }

    /// The first `count` waiters must have been notified.
    pub(crate) fn assert_notified(&self, count: usize) {
        if cfg!(debug_assertions) {
            assert!(self.notified >= count.min(self.len), "BUG: {} of {count} notified", self.notified);
        }
    }

    fn unlink(&mut self, place: usize) {
        let Node { before, behind, round, .. } = self.nodes[place];
        match before {
            Some(before) => self.nodes[before].behind = behind,
            None => self.head = behind,
        }
        match behind {
            Some(behind) => self.nodes[behind].before = before,
            None => self.tail = before,
        }
        self.len -= 1;
        if round == self.round {
            self.notified -= 1;
        } else if self.cursor == Some(place) {
            self.cursor = behind;
        }
    }

    fn vacate(&mut self, place: usize) {
        // The waiter has it, too, so no user code is dropped here.
        self.nodes[place].wake = None;
        self.vacant.push(place);
        if self.vacant.len() == self.nodes.len() && self.nodes.len() > KEPT {
            // The rush is over: releases the memory of ten thousand waiters.
            (self.nodes, self.vacant) = (Vec::new(), Vec::new());
        }
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            debug_assert!(self.is_empty(), "BUG: somebody was left waiting");
        }
    }
}

/// An empty queue keeps room for this many.
const KEPT: usize = 64;
