//! The records of the fake server: its sessions, the calls under way, and the orders for them; and how a call obeys an order.
//!
//! One lock protects all of it. A blocked call waits for a change: each order, release, abort and cancellation is one.

use super::call::{Call, FakeError, Outcome};
use crate::panics::ORDERED;
use cabrank::Fault;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

/// The state of the server, which connections, abort handles and hooks share.
#[derive(Debug, Default)]
pub(super) struct World {
    state: Mutex<WorldState>,
    pub(super) changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct WorldState {
    /// One for each kind of call.
    books: [Book; Call::RollbackTo as usize + 1],
    pub(super) seats: Vec<Seat>,
    pub(super) live: usize,
    pub(super) peak: usize,
    /// Zero: any number.
    pub(super) allowed: usize,
    pub(super) broken_rules: Vec<String>,
    /// The manager's remark on the server.
    pub(super) remark: Option<String>,
    /// The test is over: nothing blocks any more.
    pub(super) over: bool,
}

/// The orders for one kind of call, and its counts.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) standing: Outcome,
    pub(super) next: VecDeque<Outcome>,
    pub(super) released: u64,
    pub(super) begun: Vec<Instant>,
    pub(super) in_workers: usize,
    pub(super) now: usize,
    pub(super) peak: usize,
}

impl Default for Book {
    fn default() -> Self {
        let (next, begun) = (VecDeque::new(), Vec::new());
        Self { standing: Outcome::Ok, next, released: 0, begun, in_workers: 0, now: 0, peak: 0 }
    }
}

/// One session, as the server sees it.
#[derive(Debug, Default)]
pub(super) struct Seat {
    live: bool,
    aborted: bool,
    cancelled: bool,
    closed: bool,
    pub(super) dead: bool,
    pub(super) silent: bool,
    /// The remark on this session's server.
    pub(super) remark: Option<String>,
    busy: bool,
}

impl World {
    pub(super) fn lock(&self) -> MutexGuard<'_, WorldState> {
        self.state.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// A call without a session.
    pub(super) fn hook(&self, call: Call) -> Result<(), FakeError> {
        let outcome = self.next_outcome(call);
        self.obey(call, outcome, None)
    }

    /// The order for the call that begins now.
    pub(super) fn next_outcome(&self, call: Call) -> Outcome {
        let mut state = self.lock();
        let book = state.book(call);
        book.next.pop_front().unwrap_or(book.standing)
    }

    /// A call on a session.
    pub(super) fn on_session(&self, call: Call, id: usize) -> Result<(), FakeError> {
        let outcome = self.next_outcome(call);
        self.obey(call, outcome, Some(id))
    }

    /// Ends as ordered: at once, later, or when the session changes.
    pub(super) fn obey(&self, call: Call, mut ordered: Outcome, session: Option<usize>) -> Result<(), FakeError> {
        let asks_the_server = matches!(call, Call::Check | Call::Reset | Call::Query | Call::Close);
        let mut state = self.lock();
        state.begin(call);
        if let Some(id) = session.filter(|_| asks_the_server) {
            state.claim(call, id);
            let seat = &state.seats[id];
            if seat.dead || seat.aborted {
                ordered = Outcome::Err(Fault::Fatal);
            } else if seat.silent {
                ordered = Outcome::Never;
            }
        }
        let released = state.book(call).released;
        let until = match ordered {
            Outcome::Slow(span) => Instant::now().checked_add(span),
            _ => None,
        };
        let result = loop {
            match ordered {
                Outcome::Ok | Outcome::Panic => break Ok(()),
                Outcome::Err(fault) => break Err(FakeError { call, fault }),
                _ if state.over || state.book(call).released != released => break Ok(()),
                Outcome::Slow(_) if until.is_some_and(|until| until <= Instant::now()) => break Ok(()),
                Outcome::Slow(_) | Outcome::Never => {
                    if let Some(fault) = session.and_then(|id| state.seats[id].ended()) {
                        break Err(FakeError { call, fault });
                    }
                }
                Outcome::Stuck => {}
            }
            state = match until {
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    self.changed.wait_timeout(state, left).unwrap_or_else(|poison| poison.into_inner()).0
                }
                None => self.changed.wait(state).unwrap_or_else(|poison| poison.into_inner()),
            };
        };
        state.book(call).now -= 1;
        if let Some(id) = session.filter(|_| asks_the_server) {
            state.seats[id].busy = false;
        }
        drop(state);
        assert!(ordered != Outcome::Panic || std::thread::panicking(), "{ORDERED}: {call:?}");
        result
    }

    /// A session begins.
    pub(super) fn arrive(&self) -> usize {
        let mut state = self.lock();
        state.seats.push(Seat { live: true, ..Seat::default() });
        state.live += 1;
        state.peak = state.peak.max(state.live);
        if state.allowed > 0 && state.live > state.allowed {
            let text = format!("{} sessions where {} are allowed", state.live, state.allowed);
            state.broken_rules.push(text);
        }
        state.seats.len() - 1
    }

    /// A session ends, unless it already has.
    pub(super) fn leave(&self, id: usize) {
        let mut state = self.lock();
        let was_live = std::mem::take(&mut state.seats[id].live);
        state.live -= usize::from(was_live);
    }

    /// The server has ended the session in an orderly way.
    pub(super) fn closed(&self, id: usize) {
        self.lock().seats[id].closed = true;
    }

    /// Cancels the statement that runs on this session, if there is one.
    pub(super) fn cancelled(&self, id: usize) {
        self.lock().seats[id].cancelled = true;
        self.changed.notify_all();
    }

    /// Ends the session, and fails all calls blocked on it.
    pub(super) fn abort(&self, id: usize) {
        self.leave(id);
        self.lock().seats[id].aborted = true;
        self.changed.notify_all();
    }
}

impl Seat {
    /// The fault with which calls blocked on this session fail now, if they do.
    fn ended(&self) -> Option<Fault> {
        match (self.aborted, self.cancelled) {
            (true, _) => Some(Fault::Fatal),
            (false, true) => Some(Fault::Statement),
            (false, false) => None,
        }
    }
}

impl WorldState {
    pub(super) fn book(&mut self, call: Call) -> &mut Book {
        &mut self.books[call as usize]
    }

    pub(super) fn books(&mut self) -> impl Iterator<Item = &mut Book> {
        self.books.iter_mut()
    }

    fn begin(&mut self, call: Call) {
        let book = self.book(call);
        book.begun.push(Instant::now());
        book.in_workers += usize::from(std::thread::current().name() == Some("cabrank-worker"));
        book.now += 1;
        book.peak = book.peak.max(book.now);
    }

    fn claim(&mut self, call: Call, id: usize) {
        let seat = &mut self.seats[id];
        seat.cancelled = false;
        if std::mem::replace(&mut seat.busy, true) {
            self.broken_rules.push(format!("{call:?} on session {id}, which is busy"));
        } else if seat.closed {
            self.broken_rules.push(format!("{call:?} on session {id}, which is closed"));
        }
    }
}
