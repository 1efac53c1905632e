//! The world around the state: borrowers, holders, and the time. It does what the routes do, one transaction at a time,
//! and has everything checked after each.

use super::book::Book;
use super::jobs::Job;
use crate::config::Config;
use crate::entry::Entry;
use crate::queue::Ticket;
use crate::slots::{Borrower, SlotId};
use crate::state::State;
use crate::state::actions::{Action, Actions, Claim, Delivery};
use crate::sync;
use crate::waiter::{Waiter, Wake};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct World {
    pub(super) state: State<(), Broken>,
    pub(super) config: Config,
    pub(super) now: Instant,
    pub(super) wall: Duration,
    /// Those who wait, the first first.
    pub(super) waiting: Vec<Waiting>,
    /// Those who were given something and have not looked yet.
    pub(super) served: Vec<(Waiting, Gift)>,
    /// Woken since they last looked.
    pub(super) woken: Vec<*const Waiter>,
    pub(super) lent: Vec<(usize, Box<Entry<()>>)>,
    /// The loans among these that were aborted.
    pub(super) aborted: Vec<SlotId>,
    pub(super) jobs: Vec<Job>,
    pub(super) attempts: u64,
    /// The timer: the earliest of the alarms that were ordered since one rang.
    pub(super) alarm: Option<Instant>,
    pub(super) book: Book,
    borrowers: usize,
}

pub(super) struct Waiting {
    pub(super) number: usize,
    pub(super) since: Instant,
    pub(super) waiter: Arc<Waiter>,
    ticket: Ticket,
}

/// What was put into a waiter's cell: a connection, or the word that there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Gift {
    Connection(u64),
    Word,
}

#[derive(Debug)]
pub(super) struct Broken;

impl World {
    pub(super) fn new(config: Config, seed: u64) -> Self {
        let (now, wall) = (sync::now(), Duration::from_secs(1_000_000_000));
        let mut world = Self {
            state: State::new(&config, now, wall, fastrand::Rng::with_seed(seed)),
            config,
            now,
            wall,
            waiting: Vec::new(),
            served: Vec::new(),
            woken: Vec::new(),
            lent: Vec::new(),
            aborted: Vec::new(),
            jobs: Vec::new(),
            attempts: 0,
            alarm: None,
            book: Book::new(now, wall),
            borrowers: 0,
        };
        world.with(|_, _| ());
        world.check();
        world
    }

    /// One transaction, and what it orders.
    pub(super) fn with<R>(&mut self, change: impl FnOnce(&mut State<(), Broken>, &mut Actions<(), Broken>) -> R) -> R {
        self.with_noted(change, |_, _| ())
    }

    /// As [`with`](Self::with), where something must be noted in the book before what is ordered is done.
    pub(super) fn with_noted<R>(
        &mut self,
        change: impl FnOnce(&mut State<(), Broken>, &mut Actions<(), Broken>) -> R,
        note: impl FnOnce(&mut Self, &R),
    ) -> R {
        let mut actions = Actions::new();
        let result = change(&mut self.state, &mut actions);
        self.state.settle(self.now, &mut actions);
        note(self, &result);
        for action in actions {
            match action {
                Action::Wake(Wake::Thread(waiter)) => self.woken.push(Arc::as_ptr(&waiter)),
                Action::Wake(Wake::Task(_)) => unreachable!("those who wait here are threads"),
                Action::Open(opening) => self.begin_open(opening),
                Action::Check(entry) => self.begin_check(entry),
                Action::Reset(entry) => self.begin_reset(entry),
                Action::Close(entry, reason) => self.begin_close(entry, reason),
                Action::Abort(slot, _) => {
                    self.check_abort(slot);
                    self.abort(slot);
                }
                Action::Hasten(slot) => self.check_abort(slot),
                Action::ReportLeak(holder) => self.check_leak(holder.id),
                Action::Alarm(at) => self.alarm = self.alarm.into_iter().chain([at]).min(),
                Action::TellGivenUp(..) | Action::TellCancelled(_) | Action::Drop(_) => {}
            }
        }
        result
    }

    /// Asks for a connection, first at `since`.
    pub(super) fn request(&mut self, since: Instant, waits: bool) {
        self.borrowers += 1;
        let (number, now, waiter) = (self.borrowers, self.now, Waiter::new());
        let mut ticket = None;
        let wake = Wake::Thread(Arc::clone(&waiter));
        let room = self.config.max_waiters.is_none_or(|most| self.waiting.len() < most as usize);
        self.book.tried = !waits;
        let overlooked = &mut false;
        let (book, config) = (self.book.clone(), self.config.clone());
        let claim = self.with(|state, actions| {
            let mut claim = state.claim(now, borrower(number), actions);
            if let Claim::Connection(entry) = &mut claim {
                let seat = number % 2;
                let _ = state.permit(entry, now, borrower(seat), (seat, seat));
            }
            *overlooked = matches!(claim, Claim::Nothing)
                && state.queue.is_empty()
                && state.idle.iter().any(|entry| book.flaw(entry.id, now, &config).is_none());
            if let (Claim::Nothing, true) = (&claim, waits) {
                ticket = state.queue(wake, borrower(number), since, Duration::MAX);
            } else if let Claim::Nothing = claim {
                state.want_one();
            }
            claim
        });
        assert!(!*overlooked, "something was idle: {}", self.summary());
        self.book.tried = false;
        match claim {
            Claim::Connection(entry) => {
                self.book.lent(entry.id, now);
                self.assert_lendable(entry.id);
                self.obtained(number, entry);
                // Before it is looked at: one whose connection turns out to be dead may wait itself then.
                self.check_no_overtaking(now);
                self.look_at_last(since, waits);
            }
            Claim::Nothing => {
                if let Some(ticket) = ticket {
                    let place = self.waiting.iter().position(|other| other.since > since);
                    self.waiting.insert(place.unwrap_or(self.waiting.len()), Waiting { number, since, waiter, ticket });
                } else {
                    assert!(!waits || !room, "turned away though there is room");
                }
                self.check();
            }
            Claim::Refused(_) => {
                self.check_refusal();
                self.check();
            }
            Claim::Closed => {
                assert!(self.book.closed);
                self.check();
            }
        }
    }

    /// One who waits does something: those who were served come first in the count.
    pub(super) fn on_waiter(&mut self, pick: usize, leave: Leave) {
        let count = self.served.len() + self.waiting.len();
        if count == 0 {
            return;
        }
        let pick = pick % count;
        if pick < self.served.len() {
            let (waiting, gift) = self.served.remove(pick);
            self.unwake(&waiting);
            let delivery = self.ask(&waiting, leave);
            match (gift, delivery) {
                (Gift::Connection(id), Some(Delivery::Connection(entry))) => {
                    assert_eq!(id, entry.id, "not what was delivered");
                    self.obtained(waiting.number, entry);
                    self.look_at_last(waiting.since, true);
                }
                (Gift::Word, Some(Delivery::Refused(_) | Delivery::Closed)) => self.check(),
                (gift, _) => panic!("lost: {gift:?}"),
            }
        } else {
            self.on_line(pick - self.served.len(), leave);
        }
    }

    /// One in the queue, to whom nothing was delivered until now.
    fn on_line(&mut self, place: usize, leave: Leave) {
        let (since, number, now) = (self.waiting[place].since, self.waiting[place].number, self.now);
        let ahead: Vec<usize> = self.waiting[..place].iter().map(|other| other.number).collect();
        let waiting = self.waiting.remove(place);
        self.unwake(&waiting);
        match self.ask(&waiting, leave) {
            Some(Delivery::Connection(entry)) => {
                self.book.lent(entry.id, now);
                self.assert_lendable(entry.id);
                self.obtained(number, entry);
                let window = self.config.fairness_window;
                let overtaken = |other: &&Waiting| ahead.contains(&other.number) && now - other.since > window;
                assert_eq!(self.waiting.iter().find(overtaken).map(|other| other.number), None, "overtaken");
                self.look_at_last(since, true);
            }
            Some(_) => panic!("a word that was not told to all"),
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

    fn unwake(&mut self, waiting: &Waiting) {
        self.woken.retain(|woken| *woken != Arc::as_ptr(&waiting.waiter));
    }
}

/// Does the one who looks go away then?
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Leave {
    No,
    /// Out of time: if there is nothing for it.
    AfterLook,
    /// Without a look, as a task that is dropped.
    AtOnce,
}

pub(super) fn borrower(number: usize) -> Borrower {
    Borrower { call_site: Location::caller(), thread: number }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken")
    }
}

impl std::error::Error for Broken {}
