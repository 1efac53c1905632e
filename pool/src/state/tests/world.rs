//! The world around the state: requests and time. It does what the routes do, one transaction at a time, and checks everything after
//! each.

use super::book::Book;
use super::jobs::Job;
use super::tasks::Future;
use super::waiting::{Gift, Manner, Waiting, mark};
use crate::config::Config;
use crate::entry::Entry;
use crate::slots::{Borrower, SlotId};
use crate::state::State;
use crate::state::actions::{Action, Actions, Claim};
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
    /// The waiters, from the head of the queue.
    pub(super) waiting: Vec<Waiting>,
    /// Waiters with a delivery that have not looked yet.
    pub(super) served: Vec<(Waiting, Gift)>,
    /// Tasks whose delivery was reclaimed because they were not polled.
    pub(super) absent: Vec<Waiting>,
    /// Woken since their last look.
    pub(super) woken: Vec<*const ()>,
    pub(super) lent: Vec<(usize, Box<Entry<()>>)>,
    /// The slots of aborted loans.
    pub(super) aborted: Vec<SlotId>,
    pub(super) jobs: Vec<Job>,
    pub(super) attempts: u64,
    /// The timer: the earliest alarm ordered since the last one rang.
    pub(super) alarm: Option<Instant>,
    pub(super) book: Book,
    borrowers: usize,
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
            absent: Vec::new(),
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

    /// One transaction, and the actions it orders.
    pub(super) fn with<R>(&mut self, change: impl FnOnce(&mut State<(), Broken>, &mut Actions<(), Broken>) -> R) -> R {
        self.with_noted(change, |_, _| ())
    }

    /// Like [`with`](Self::with), for a change that must be noted in the book before the actions run.
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
                Action::Wake(wake) => self.woken.push(mark(&wake)),
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

    /// Requests a connection, waiting since `since`.
    pub(super) fn request(&mut self, since: Instant, manner: Manner) {
        self.borrowers += 1;
        let (number, now, waits) = (self.borrowers, self.now, manner != Manner::Try);
        let (mut ticket, future) = (None, Future::of(manner));
        let wake = match future {
            Some(_) => Wake::Task(Arc::default()),
            None => Wake::Thread(Waiter::new()),
        };
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
                ticket = state.queue(wake.clone(), borrower(number), since, Duration::MAX);
                if let (Some(ticket), Manner::Task(Some(deadline))) = (&ticket, manner) {
                    state.ring_at(ticket, deadline, now, actions);
                }
            } else if let Claim::Nothing = claim {
                state.want_one();
            }
            claim
        });
        assert!(!*overlooked, "a connection was idle: {}", self.summary());
        self.book.tried = false;
        match claim {
            Claim::Connection(entry) => {
                self.book.lent(entry.id, now);
                self.assert_lendable(entry.id);
                self.obtained(number, entry);
                // Before the look: a borrower that finds its connection dead may itself wait afterwards.
                self.check_no_overtaking(now);
                self.look_at_last(since, manner);
            }
            Claim::Nothing => {
                if let Some(ticket) = ticket {
                    self.stand(Waiting { number, since, ticket, future, wake });
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
