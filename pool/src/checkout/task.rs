//! The wait of a task: the steps of `checkout`, one for each poll of its future. It occupies no thread meanwhile.
//!
//! The future stores its waker before each look at the pool, so any change after a look that finds nothing wakes it.

use crate::checkout::look::Doubt;
use crate::checkout::refusal::refuse_hook;
use crate::checkout::wait::Found;
use crate::checkout::{Begun, Request, Round, Start, begin, this_thread};
use crate::error::GetError;
use crate::manager::Manager;
use crate::queue::Ticket;
use crate::shared::{Held, PoolRef};
use crate::slots::Borrower;
use crate::state::actions::{Action, Delivery};
use crate::sync::after;
use crate::waiter::{Task, Wake};
use crate::{seeded, sync};
use std::cell::Cell;
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A future's request for a connection.
pub(crate) struct TaskRequest {
    borrower: Borrower,
    timeout: Duration,
    stage: Stage,
}

enum Stage {
    /// Not polled yet. Its time-out begins at the first poll.
    New,
    Waits(Wait),
    Over,
}

struct Wait {
    ticket: Ticket,
    task: Arc<Task>,
    start: Instant,
    deadline: Option<Instant>,
    grace_ends: Option<Instant>,
}

type Outcome<M> = Poll<Result<Held<M>, GetError<<M as Manager>::Error>>>;

impl TaskRequest {
    pub(crate) fn new(timeout: Duration, call_site: &'static Location<'static>) -> Self {
        // A task has no thread of its own, and several threads may poll it.
        Self { borrower: Borrower { call_site, thread: 0 }, timeout, stage: Stage::New }
    }

    /// One step. Ready once.
    #[inline]
    pub(crate) fn poll<M: Manager>(&mut self, pool: &PoolRef<M>, context: &mut Context<'_>) -> Outcome<M> {
        if matches!(self.stage, Stage::New) {
            self.stage = Stage::Over;
            return self.begin(pool, context);
        }
        self.poll_again(pool, context)
    }

    #[cold]
    fn poll_again<M: Manager>(&mut self, pool: &PoolRef<M>, context: &mut Context<'_>) -> Outcome<M> {
        if let (Stage::Waits(wait), false) = (&self.stage, seeded::bug("looks_before_it_watches")) {
            // This runs the user's code: if it panics, the wait goes on. In a child of `fork` the waker is the parent's, and a thread
            // that does not exist in the child may hold its lock.
            if pool.is_at_home() {
                wait.task.watch(context.waker());
            }
        }
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Waits(wait) => self.look(pool, wait, context),
            Stage::New | Stage::Over => panic!("`get_async` future polled after completion"),
        }
    }

    #[inline]
    fn begin<M: Manager>(&mut self, pool: &PoolRef<M>, context: &mut Context<'_>) -> Outcome<M> {
        if pool.workers.is_current() {
            return Poll::Ready(Err(refuse_hook(pool)));
        }
        if !pool.is_at_home() {
            return Poll::Ready(Err(GetError::Forked));
        }
        match begin(pool, self.timeout, self.borrower, this_thread()) {
            Begun::Lent(held) => Poll::Ready(Ok(held)),
            Begun::Request(request, now, round) => self.ask(&request, now, round, None, context),
        }
    }

    /// Takes a connection that is ready, or queues.
    fn ask<M: Manager>(
        &mut self,
        request: &Request<'_, M>,
        mut now: Instant,
        mut round: Round,
        mut task: Option<Arc<Task>>,
        context: &mut Context<'_>,
    ) -> Outcome<M> {
        loop {
            let grace_ends = request.grace_ends.get();
            let deadline = grace_ends.or_else(|| after(request.start, request.timeout));
            let wake = || task.clone().map(Wake::Task);
            match request.ask(now, round, deadline.filter(|_| task.is_some()), wake) {
                Start::Have(mut entry) => {
                    entry.lent_at = now;
                    match request.look_at(&mut entry) {
                        Ok(()) => return Poll::Ready(Ok(request.lend(entry))),
                        Err(doubt) => request.reject(entry, doubt),
                    }
                    round = Round::Again;
                }
                Start::Queued(ticket) => {
                    let task = task.expect("it is to be woken");
                    self.stage = Stage::Waits(Wait { ticket, task, start: request.start, deadline, grace_ends });
                    return Poll::Pending;
                }
                Start::Unable => {
                    // Created only now: a request that is served at once needs none.
                    let new = Arc::new(Task::default());
                    new.watch(context.waker());
                    task = Some(new);
                }
                Start::Unserved(refusal) => {
                    return Poll::Ready(Err(refusal.at(now).tell(request.shared, request.start, self.borrower)));
                }
            }
            now = sync::now();
        }
    }

    /// A further poll of a task that waits.
    fn look<M: Manager>(&mut self, pool: &PoolRef<M>, wait: Wait, context: &mut Context<'_>) -> Outcome<M> {
        if !pool.is_at_home() {
            return Poll::Ready(Err(GetError::Forked));
        }
        let now = sync::now();
        let request = Request {
            shared: pool,
            borrower: self.borrower,
            thread: this_thread(),
            seat: sync::seat(),
            start: wait.start,
            timeout: self.timeout,
            grace_ends: Cell::new(wait.grace_ends),
        };
        match request.look_or_leave_as_task(&wait.ticket, wait.deadline, now) {
            Found::Connection(mut entry) => {
                entry.lent_at = now;
                let is_good = pool.with(now, |state, _| state.is_still_good(&entry, now));
                match if is_good { request.look_at(&mut entry) } else { Err(Doubt::Stale) } {
                    Ok(()) => Poll::Ready(Ok(request.lend(entry))),
                    Err(doubt) => {
                        request.reject(entry, doubt);
                        self.ask(&request, sync::now(), Round::Again, Some(wait.task), context)
                    }
                }
            }
            Found::Refusal(refusal) => Poll::Ready(Err(refusal.at(now).tell(pool, wait.start, self.borrower))),
            Found::Nothing(deadline) => {
                if seeded::bug("looks_before_it_watches") {
                    wait.task.watch(context.waker());
                }
                let grace_ends = request.grace_ends.get();
                self.stage = Stage::Waits(Wait { deadline, grace_ends, ..wait });
                Poll::Pending
            }
        }
    }

    /// Ends the wait, if there is one: the future is being dropped.
    #[inline]
    pub(crate) fn abandon<M: Manager>(&mut self, pool: &PoolRef<M>) {
        if let Stage::Waits(wait) = &self.stage {
            cancel(pool, wait);
            self.stage = Stage::Over;
        }
    }
}

#[cold]
fn cancel<M: Manager>(pool: &PoolRef<M>, wait: &Wait) {
    if !pool.is_at_home() {
        return;
    }
    let now = sync::now();
    if seeded::bug("looks_for_a_delivery_before_it_leaves") {
        let has_none = pool.with_at_home(now, |state, _| !state.has_delivery(&wait.ticket));
        if has_none {
            return drop(pool.with_at_home(now, |state, _| state.cancel(&wait.ticket)));
        }
    }
    let refusal = pool.with_at_home(now, |state, actions| state.abandon(&wait.ticket, now, actions));
    let refusal = match refusal {
        Some(Delivery::Refused(cause)) => Some(Action::Drop(cause)),
        _ => None,
    };
    // This thread may be unwinding; then a worker runs the user's code.
    let waited = now.saturating_duration_since(wait.start);
    pool.tell(refusal.into_iter().chain([Action::TellCancelled(waited)]).collect());
}
