//! The way out: from a request to a connection that has been looked at. `lane.rs` has the way that takes no lock, `look.rs` the look,
//! `wait.rs` the wait of a thread, `task.rs` that of a task, `refusal.rs` the end of a request that gets none.

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

/// Checks out a connection within `timeout`. With a timeout of zero nobody waits: only a fresh idle one will do.
///
/// The road: take what this thread has parked; else a fresh idle connection; else queue, park, and take what comes; look at it without
/// asking the server; if it is dead, go round again with the same deadline and one's old place in the queue.
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

/// Checks out a fresh idle connection, or asks for one to be ready next time. As nobody waits, a hook of the pool's own may ask too.
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

/// Takes what this thread has parked; else there is a request, whose next attempt begins now.
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

/// Who borrows, if it is this thread and none of its tasks.
#[inline]
fn of_this_thread(call_site: &'static Location<'static>) -> Borrower {
    Borrower { call_site, thread: this_thread() }
}

/// The number of this thread: of one that polls, too. Makes its place to park, once, before the lock is taken.
#[inline]
fn this_thread() -> usize {
    sync::thread_mark(|| drop(own_waiter()))
}

/// What comes of the first step.
enum Begun<'a, M: Manager> {
    Lent(Held<M>),
    Request(Request<'a, M>, Instant, Round),
}

struct Request<'a, M: Manager> {
    shared: &'a PoolRef<M>,
    borrower: Borrower,
    /// This thread: also where the borrower is a task, which has none of its own.
    thread: usize,
    /// Which cell is this thread's.
    seat: usize,
    start: Instant,
    timeout: Duration,
    /// Until when it waits in place of its deadline, if that passed while the process stood still.
    grace_ends: Cell<Option<Instant>>,
}

/// Is this the request's first attempt, or was it given a connection that was dead?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    First,
    Again,
}

/// The outcome of the first look at the pool.
enum Start<C, E> {
    Have(Box<Entry<C>>),
    Queued(Ticket),
    /// Nothing is ready, and it cannot be woken yet.
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

    /// One look at the pool: a connection, a refusal, or a place in the queue for one who can be woken by `wake`, at `rings_at`, too.
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

    /// The state decides whether this thread's connection may rest in its cell.
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

    /// Looks at the connection without asking the server, and has `on_checkout` judge one that looks well.
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
        // A loan that did not wait need not compute how long.
        let at_once = entry.lent_at == self.start;
        let waited = if at_once { Duration::ZERO } else { entry.lent_at.saturating_duration_since(self.start) };
        hold(self.shared, entry, waited)
    }

    /// The first borrower of a new connection finds it well, and so does `on_checkout`: then others may be opened.
    #[cold]
    fn looked_well(&self, entry: &mut Entry<SlottedConnection<M>>) {
        let now = sync::now();
        self.shared.with(now, |state, actions| state.found_well(entry, Stage::Checkout, now, actions));
    }

    /// It was no loan: the connection goes back, to be closed or to be checked.
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

/// The loan begins.
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

/// The place where this thread parks. Kept for its next wait.
#[cfg(not(loom))]
fn own_waiter() -> Arc<Waiter> {
    thread_local!(static WAITER: Arc<Waiter> = Waiter::new());
    // A thread that is ending has no locals any more.
    WAITER.try_with(Arc::clone).unwrap_or_else(|_| Waiter::new())
}

/// A model's threads share their locals, so each wait has a place of its own.
#[cfg(loom)]
fn own_waiter() -> Arc<Waiter> {
    Waiter::new()
}

/// A connection that rested longer than this is worth a look at the wall clock.
const ALERT: Duration = Duration::from_millis(10);
