//! The way out: from a request to a connection that has passed a look. This file has the request and its steps. `lane.rs` has the route
//! without the lock, `look.rs` the look, `wait.rs` the wait of a thread, `task.rs` that of a task, `refusal.rs` the error and the event
//! of a request that gets no connection. Which connection a request gets, and when, is decided in `state/`.

mod lane;
mod look;
mod refusal;
mod task;
#[cfg(all(test, not(loom)))]
mod tests;
mod wait;

pub(crate) use task::TaskRequest;

use crate::checkout::lane::Parked;
use crate::checkout::look::{Doubt, look_closely};
use crate::checkout::refusal::{Refusal, Unserved};
use crate::entry::Entry;
use crate::error::GetError;
use crate::event::CheckedOut;
use crate::gate::Stage;
use crate::manager::Manager;
use crate::queue::Ticket;
use crate::reason::RefusalReason;
use crate::shared::{Held, PoolRef, SlottedConnection};
use crate::slots::Borrower;
use crate::state::State;
use crate::state::actions::Claim;
use crate::waiter::{Waiter, Wake};
use crate::{seeded, sync};
use std::cell::Cell;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Checks out a connection within `timeout`. With a timeout of zero it does not wait: it takes a parked or a fresh idle one, or fails.
///
/// The route: take the connection that this thread has parked; else a fresh idle one; else queue, park, and take the connection that
/// arrives. Then look at it, without a round trip. If it is dead, start again, with the same deadline and the old place in the queue.
#[inline]
pub(crate) fn checkout<M: Manager>(
    pool: &PoolRef<M>,
    timeout: Duration,
    call_site: &'static Location<'static>,
) -> Result<Held<M>, GetError<M::Error>> {
    if pool.workers.is_current() {
        return Err(refusal::refuse_hook(pool));
    }
    if !pool.is_at_home() {
        return Err(GetError::Forked);
    }
    let borrower = of_this_thread(call_site);
    let (request, mut now, mut round) = match begin(pool, timeout, borrower, borrower.thread) {
        Begun::Lent(held) => return Ok(held),
        Begun::Request(request, now, round) => (request, now, round),
    };
    loop {
        let mut entry = match request.take(now, round) {
            Ok(entry) => entry,
            Err(unserved) => return Err(unserved.tell(pool, request.start, request.borrower)),
        };
        match request.look_at(&mut entry) {
            Ok(()) => return Ok(request.lend(entry)),
            Err(doubt) => request.reject(entry, doubt),
        }
        (now, round) = (sync::now(), Round::Again);
    }
}

/// Checks out a fresh idle connection, or asks for one to be ready next time. It never waits, so the pool's own hooks may call it too.
pub(crate) fn try_checkout<M: Manager>(
    pool: &PoolRef<M>,
    call_site: &'static Location<'static>,
) -> Result<Option<Held<M>>, GetError<M::Error>> {
    if !pool.is_at_home() {
        return Err(GetError::Forked);
    }
    let borrower = of_this_thread(call_site);
    let (request, mut now) = match begin(pool, Duration::ZERO, borrower, borrower.thread) {
        Begun::Lent(held) => return Ok(Some(held)),
        Begun::Request(request, now, _) => (request, now),
    };
    loop {
        let claim = pool.with(now, |state, actions| {
            let mut claim = state.claim(now, request.borrower, actions);
            match &mut claim {
                Claim::Connection(entry) => request.ask_permit(state, entry, now),
                Claim::Nothing => state.not_available(),
                Claim::Refused(_) | Claim::Closed => {}
            }
            claim
        });
        let refusal = match claim {
            Claim::Connection(mut entry) => {
                entry.lent_at = now;
                match request.look_at(&mut entry) {
                    Ok(()) => return Ok(Some(request.lend(entry))),
                    Err(doubt) => request.reject(entry, doubt),
                }
                now = sync::now();
                continue;
            }
            Claim::Nothing => {
                let waited = now.saturating_duration_since(request.start);
                refusal::tell(pool, RefusalReason::NotAvailable, waited, None);
                return Ok(None);
            }
            Claim::Refused(cause) => Refusal::Connect(cause),
            Claim::Closed => Refusal::Closed,
        };
        return Err(refusal.at(now).tell(pool, request.start, request.borrower));
    }
}

/// Takes the connection that this thread has parked, or else begins a request, whose next attempt starts at the returned time.
#[inline]
fn begin<M: Manager>(pool: &PoolRef<M>, timeout: Duration, borrower: Borrower, thread: usize) -> Begun<'_, M> {
    let start = sync::now();
    let seat = sync::seat();
    let parked = lane::take_parked(pool, borrower, seat, start);
    if let Parked::Lent(held) = parked {
        return Begun::Lent(held);
    }
    let request = Request { shared: pool, borrower, thread, seat, start, timeout, grace_ends: Cell::new(None) };
    match parked {
        Parked::Doubtful(entry, doubt) => {
            request.reject(entry, doubt);
            Begun::Request(request, sync::now(), Round::Again)
        }
        Parked::Lent(_) | Parked::None => Begun::Request(request, start, Round::First),
    }
}

/// The borrower, if a thread and not a task borrows.
#[inline]
fn of_this_thread(call_site: &'static Location<'static>) -> Borrower {
    Borrower { call_site, thread: this_thread() }
}

/// The number of this thread, which for a task is the one that polls it. Creates the thread's waiter, once, before the lock is taken.
#[inline]
fn this_thread() -> usize {
    sync::thread_mark(|| drop(own_waiter()))
}

/// The outcome of the first step.
enum Begun<'a, M: Manager> {
    Lent(Held<M>),
    Request(Request<'a, M>, Instant, Round),
}

struct Request<'a, M: Manager> {
    shared: &'a PoolRef<M>,
    borrower: Borrower,
    /// The calling thread, even if the borrower is a task, which has no thread of its own.
    thread: usize,
    /// Selects the cell of this thread.
    seat: usize,
    start: Instant,
    timeout: Duration,
    /// Replaces the deadline, if that passed while the process was suspended.
    grace_ends: Cell<Option<Instant>>,
}

/// Whether this is the request's first attempt, or it received a dead connection before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    First,
    Again,
}

/// The outcome of one look at the pool.
enum Start<C, E> {
    Have(Box<Entry<C>>),
    Queued(Ticket),
    /// Nothing is ready, and the request has no `Wake` to queue with yet.
    Unable,
    Unserved(Refusal<E>),
}

type StartOf<M> = Start<SlottedConnection<M>, <M as Manager>::Error>;

impl<M: Manager> Request<'_, M> {
    /// Takes a connection, at once or by waiting.
    #[inline]
    fn take(&self, now: Instant, round: Round) -> Result<Box<Entry<SlottedConnection<M>>>, Unserved<M::Error>> {
        let mut waiter = None;
        let wake = || Some(Wake::Thread(Arc::clone(waiter.insert(own_waiter()))));
        match self.ask(now, round, None, wake) {
            Start::Have(mut entry) => {
                entry.lent_at = now;
                Ok(entry)
            }
            Start::Queued(ticket) => self.wait(&ticket, &waiter.expect("it is to be woken")),
            Start::Unable => unreachable!("a thread can always be woken"),
            Start::Unserved(refusal) => Err(refusal.at(now)),
        }
    }

    /// One look at the pool: returns a connection, a refusal, or a place in the queue. A queued request is woken by `wake`, and also at
    /// `rings_at`.
    #[inline]
    fn ask(
        &self,
        now: Instant,
        round: Round,
        rings_at: Option<Instant>,
        wake: impl FnOnce() -> Option<Wake>,
    ) -> StartOf<M> {
        let looked = seeded::bug("looks_and_queues_apart")
            .then(|| self.shared.with(now, |state, actions| state.claim(now, self.borrower, actions)));
        self.shared.with_at_home(now, |state, actions| {
            match looked.unwrap_or_else(|| state.claim(now, self.borrower, actions)) {
                Claim::Connection(mut entry) => {
                    self.ask_permit(state, &mut entry, now);
                    Start::Have(entry)
                }
                Claim::Closed => Start::Unserved(Refusal::Closed),
                Claim::Refused(error) => Start::Unserved(Refusal::Connect(error)),
                Claim::Nothing if self.timeout.is_zero() => {
                    state.timed_out(now.saturating_duration_since(self.start));
                    state.want_one();
                    Start::Unserved(Refusal::TimedOut(state.snapshot()))
                }
                Claim::Nothing => {
                    let Some(wake) = wake() else { return Start::Unable };
                    let ticket = match round {
                        Round::First => state.queue(wake, self.borrower, self.start, self.timeout),
                        Round::Again => Some(state.queue_again(wake, self.borrower, self.start, self.timeout)),
                    };
                    let Some(ticket) = ticket else { return Start::Unserved(Refusal::Overloaded(state.snapshot())) };
                    if let Some(at) = rings_at {
                        state.ring_at(&ticket, at, now, actions);
                    }
                    Start::Queued(ticket)
                }
            }
        })
    }

    /// Asks the state whether this connection may rest in this thread's cell after its loan.
    #[inline]
    fn ask_permit(
        &self,
        state: &mut State<SlottedConnection<M>, M::Error>,
        entry: &mut Entry<SlottedConnection<M>>,
        now: Instant,
    ) {
        if state.permit(entry, now, self.borrower, (self.thread, self.seat)) {
            sync::change_seat();
        }
    }

    /// Looks at the connection without a round trip; if it looks well, `on_checkout` judges it.
    #[inline]
    fn look_at(&self, entry: &mut Entry<SlottedConnection<M>>) -> Result<(), Doubt<M::Error>> {
        if entry.last_used + ALERT < entry.lent_at {
            let (now, wall) = (sync::now(), sync::wall());
            if self.shared.with(now, |state, _| state.compare_clocks(now, wall)) {
                return Err(Doubt::Stale);
            }
        }
        look_closely(self.shared, entry)
    }

    #[inline]
    fn lend(&self, mut entry: Box<Entry<SlottedConnection<M>>>) -> Held<M> {
        if entry.on_trial {
            self.looked_well(&mut entry);
        }
        // Do not compute how long a loan waited that did not wait.
        let at_once = entry.lent_at == self.start;
        let waited = if at_once { Duration::ZERO } else { entry.lent_at.saturating_duration_since(self.start) };
        hold(self.shared, entry, waited)
    }

    /// A new connection has passed its first borrower's look and `on_checkout`: now others may be opened.
    #[cold]
    fn looked_well(&self, entry: &mut Entry<SlottedConnection<M>>) {
        let now = sync::now();
        self.shared.with(now, |state, actions| state.found_well(entry, Stage::Checkout, now, actions));
    }

    /// Returns a connection that was not lent after all, to be closed or checked.
    #[cold]
    fn reject(&self, mut entry: Box<Entry<SlottedConnection<M>>>, doubt: Doubt<M::Error>) {
        let now = sync::now();
        self.shared.with(now, |state, actions| {
            match doubt {
                Doubt::Stale => {}
                Doubt::Unfit(reason) => {
                    entry.condemned = Some(reason);
                    state.failed_look(&entry, now, actions);
                }
                Doubt::Refused(reason, cause) => {
                    entry.condemned = Some(reason);
                    state.refused(&entry, cause, now, actions);
                }
            }
            state.reject(entry, now, actions);
        });
    }
}

/// Begins the loan.
#[inline]
fn hold<M: Manager>(pool: &PoolRef<M>, entry: Box<Entry<SlottedConnection<M>>>, waited: Duration) -> Held<M> {
    if pool.hears_loans() {
        tell(pool, entry.id, waited);
    }
    Held::hold(pool.clone(), entry)
}

#[inline(never)]
fn tell<M: Manager>(pool: &PoolRef<M>, id: u64, waited: Duration) {
    pool.emit(|events| events.checked_out(&CheckedOut { pool: &pool.config.name, id, waited }));
}

/// The place where this thread parks, kept for its next wait.
#[cfg(not(loom))]
fn own_waiter() -> Arc<Waiter> {
    thread_local!(static WAITER: Arc<Waiter> = Waiter::new());
    // A thread that is ending has no thread-locals left.
    WAITER.try_with(Arc::clone).unwrap_or_else(|_| Waiter::new())
}

/// A model's threads share their thread-locals, so each wait has a place of its own.
#[cfg(loom)]
fn own_waiter() -> Arc<Waiter> {
    Waiter::new()
}

/// A connection that was idle for longer than this justifies a look at the wall clock.
const ALERT: Duration = Duration::from_millis(10);
