//! The state shared by all handles, guards and workers of one pool. This is the only place that locks the state; the rules are in `state/`.
//!
//! `held.rs` has capacity as a value, `pool_ref.rs` a reference to the pool, `job.rs` the workers' jobs, `call.rs` a driver call under
//! its limit, `here.rs` one in the thread that returns a connection, `runners.rs` the threads for the closures of tasks, `hooks.rs` the
//! user's code, `session.rs` the set-up and the reset of a session, `canceller.rs` cancelling what a holder runs.

mod call;
mod canceller;
mod held;
mod here;
mod hooks;
mod job;
mod pool_ref;
mod runners;
mod session;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use call::{CallOutcome, abort_by, can_abort};
pub use canceller::{CancelOutcome, Canceller};
pub(crate) use held::{Held, Slot, SlottedConnection};
pub(crate) use hooks::{Hooks, LoanHooks};
pub use hooks::{Loan, Verdict};
pub(crate) use job::Job;
pub(crate) use pool_ref::PoolRef;
pub use session::SetUp;

use crate::caches::Caches;
use crate::config::Config;
use crate::contain::contained;
use crate::entry::Entry;
use crate::event::{EventHandler, Refused};
use crate::limit::Fuse;
use crate::manager::Manager;
use crate::reason::RefusalReason;
use crate::seeded;
use crate::state::State;
use crate::state::actions::{Action, Actions, Opening};
use crate::sync;
use crate::sync::{Mutex, MutexGuard, OnceLock, Process};
use crate::workers;
use crate::workers::{WorkerSet, Workers};
use here::CallsHere;
use runners::Runners;
use std::sync::Arc;
use std::time::Instant;

pub(crate) struct Shared<M: Manager> {
    pub(crate) manager: M,
    pub(crate) config: Config,
    pub(crate) name: Arc<str>,
    pub(crate) hooks: Hooks<M>,
    pub(crate) workers: Workers<Job<M>>,
    /// The threads for the closures of tasks, from the first closure on.
    runners: Runners,
    calls_here: CallsHere,
    /// The threads in which `timed_out`, `overloaded` or `refused` is running.
    hear_of_refusals: Mutex<Vec<usize>>,
    /// The cells in which connections rest between two loans of their thread. A parked connection has no reference to the pool.
    pub(crate) caches: Arc<Caches<Entry<SlottedConnection<M>>>>,
    /// The process that built this pool.
    process: Process,
    /// The pool's one lock. Under it only `State`'s methods run, and only through [`Shared::with`].
    state: Mutex<StateOf<M>>,
    /// Takes the place of the state in a child of `fork`: closed and empty. Boxed, because few pools are ever used there.
    child: OnceLock<Box<Mutex<StateOf<M>>>>,
}

type StateOf<M> = State<SlottedConnection<M>, <M as Manager>::Error>;
type ActionsOf<M> = Actions<SlottedConnection<M>, <M as Manager>::Error>;

impl<M: Manager> Shared<M> {
    pub(crate) fn new(manager: M, config: Config, hooks: Hooks<M>, set: &WorkerSet, run: fn(Job<M>)) -> Arc<Self> {
        let state = State::new(&config, sync::now(), sync::wall(), sync::random());
        let caches = Arc::clone(state.caches());
        let (name, workers, process) = (Arc::from(&*config.name), Workers::new(set, run), Process::current());
        Arc::new(Self {
            manager,
            config,
            name,
            hooks,
            workers,
            runners: Runners::default(),
            calls_here: CallsHere::default(),
            hear_of_refusals: Mutex::default(),
            caches,
            process,
            state: Mutex::new(state),
            child: OnceLock::new(),
        })
    }

    /// One transaction: lock, change, settle, unlock, and only then perform the actions. In a child of `fork` it finds a closed pool
    /// without connections.
    #[inline]
    pub(crate) fn with<R>(
        self: &Arc<Self>,
        now: Instant,
        change: impl FnOnce(&mut StateOf<M>, &mut ActionsOf<M>) -> R,
    ) -> R {
        let state = if self.is_at_home() { &self.state } else { self.state_in_a_child() };
        self.transact(state, now, change)
    }

    /// As [`with`](Self::with), for a caller that has found that the pool [is at home](Self::is_at_home).
    #[inline]
    pub(crate) fn with_at_home<R>(
        self: &Arc<Self>,
        now: Instant,
        change: impl FnOnce(&mut StateOf<M>, &mut ActionsOf<M>) -> R,
    ) -> R {
        self.transact(&self.state, now, change)
    }

    #[inline]
    fn transact<R>(
        self: &Arc<Self>,
        state: &Mutex<StateOf<M>>,
        now: Instant,
        change: impl FnOnce(&mut StateOf<M>, &mut ActionsOf<M>) -> R,
    ) -> R {
        let mut actions = Actions::new();
        let (mut state, misled) = lock::<M>(state);
        let result = change(&mut state, &mut actions);
        if !misled {
            state.settle(now, &mut actions);
        }
        drop(state);
        if !actions.is_empty() {
            self.perform(actions);
        }
        result
    }

    /// Whether this is the process that built the pool.
    #[inline]
    pub(crate) fn is_at_home(&self) -> bool {
        self.process.is_current()
    }

    /// The state in a child of `fork`. Another thread of the parent may have held the lock, and the connections are the parent's:
    /// neither is touched.
    #[cold]
    fn state_in_a_child(&self) -> &Mutex<StateOf<M>> {
        self.child.get_or_init(|| {
            let now = sync::now();
            let mut state = State::new(&self.config, now, sync::wall(), fastrand::Rng::new());
            state.close(now, &mut Actions::new());
            Box::new(Mutex::new(state))
        })
    }

    fn perform(self: &Arc<Self>, mut actions: ActionsOf<M>) {
        // Waiters come first, because other actions may start threads. User code comes last: it may take long, and nothing else may wait
        // for it.
        actions.sort_by_key(|action| !matches!(action, Action::Wake(_)));
        let (mut goodbyes, mut hastened, mut news) = (Vec::new(), Vec::new(), Vec::new());
        for action in actions {
            match action {
                // Waking a task runs user code.
                Action::Wake(wake) if wake.is_task() => news.push(Action::Wake(wake)),
                Action::Wake(wake) => wake.wake(),
                Action::Open(Opening { slot: id, limit, generation }) => {
                    self.workers.submit(Job::Open { slot: Slot::new(self.to_ref(), id), limit, generation });
                }
                Action::Check(entry) => self.workers.submit(Job::Check(Held::hold(self.to_ref(), entry))),
                Action::Reset(entry) => self.workers.submit(Job::Reset(Held::hold(self.to_ref(), entry))),
                Action::Close(entry, reason) => {
                    let (held, since) = (Held::hold(self.to_ref(), entry), sync::now());
                    let slot = held.slot_id;
                    let job = Job::Close { held, reason, since, hastened: false };
                    if reason.is_orderly() {
                        goodbyes.push((slot, job));
                    } else {
                        self.workers.submit(job);
                    }
                }
                Action::Hasten(slot) => hastened.push(slot),
                Action::Abort(slot, call) => {
                    if let Some(fuse) = Fuse::upgrade(&call) {
                        self.end_call_at(sync::now(), slot, fuse);
                    }
                }
                Action::Alarm(at) => self.schedule_maintenance(at),
                Action::ReportLeak(_) | Action::TellGivenUp(..) | Action::TellCancelled(_) | Action::Drop(_) => {
                    news.push(action);
                }
            }
        }
        if !goodbyes.is_empty() {
            self.workers.submit_background(goodbyes);
        }
        for slot in hastened {
            let is_meant = |job: &Job<M>| matches!(job, Job::Close { held, .. } if held.slot_id == slot);
            if let Some(mut job) = self.workers.pull_background(is_meant) {
                job.hasten();
                self.workers.submit(job);
            }
        }
        if !news.is_empty() {
            self.tell(news);
        }
    }

    /// Runs user code: handlers, wakers and destructors.
    #[cold]
    pub(crate) fn tell(self: &Arc<Self>, news: ActionsOf<M>) {
        if must_not_run_the_users() {
            return self.workers.submit(Job::Tell(Arc::clone(self), news));
        }
        for action in news {
            match action {
                Action::ReportLeak(holder) => self.emit(|events| events.leaked(&self.config.name, &holder)),
                Action::TellGivenUp(cause, took) => self.tell_open_failed(cause.to_error().as_ref(), took),
                Action::TellCancelled(waited) => {
                    let (pool, reason, error) = (&*self.config.name, RefusalReason::Cancelled, None);
                    self.emit_refusal(|events| events.refused(&Refused { pool, reason, waited, error }));
                }
                Action::Drop(error) => drop(contained(|| drop(error))),
                Action::Wake(wake) => wake.wake(),
                _ => {}
            }
        }
    }

    fn to_ref(self: &Arc<Self>) -> PoolRef<M> {
        PoolRef::new(Arc::clone(self))
    }

    fn schedule_maintenance(self: &Arc<Self>, at: Instant) {
        let pool = Arc::downgrade(self);
        self.workers.schedule_maintenance(at, move || {
            if let Some(shared) = pool.upgrade() {
                let (now, wall) = (sync::now(), sync::wall());
                shared.with(now, |state, actions| state.tick(at, now, wall, actions));
                shared.leave_to_worker();
            }
        });
    }

    /// Releases the pool in a thread that is not a worker's. The last reference drops the manager and the hooks, whose destructors are
    /// the user's: they may take long or panic, and this thread may be unwinding, or be the timer.
    #[inline]
    pub(crate) fn leave_to_worker(self: Arc<Self>) {
        if seeded::bug("looks_whether_it_is_the_last_before_it_lets_go") && Arc::strong_count(&self) > 1 {
            return drop(self.state.lock());
        }
        if let Some(shared) = Arc::into_inner(self) {
            drop_in_worker(shared);
        }
    }

    /// Refuses new loans, wakes the waiters, and closes the idle connections. Waits for nothing.
    pub(crate) fn close(self: &Arc<Self>) {
        let now = sync::now();
        if self.with(now, |state, actions| state.close(now, actions)) {
            self.workers.wind_down();
            self.runners.wind_down();
        }
    }

    /// Passes an event to the handlers, and contains their panics.
    #[inline]
    pub(crate) fn emit(&self, event: impl Fn(&dyn EventHandler)) {
        #[cfg(feature = "tracing")]
        let _ = contained(|| event(&self.hooks.tracing));
        for events in &self.hooks.events {
            let _ = contained(|| event(&**events));
        }
    }

    /// Whether any handler receives the events of each loan. If not, they are not even assembled.
    #[inline]
    pub(crate) fn hears_loans(&self) -> bool {
        #[cfg(feature = "tracing")]
        let is_traced = crate::trace::hears_loans();
        #[cfg(not(feature = "tracing"))]
        let is_traced = false;
        is_traced || !self.hooks.events.is_empty()
    }

    /// Passes the end of a request that got nothing to the handlers, in the thread of the request. A handler that asks this pool
    /// meanwhile, and gets nothing, would receive that event, ask again, and so on: such a request is only counted. In a child of `fork`
    /// a handler may wait for a thread that does not exist there.
    #[cold]
    pub(crate) fn emit_refusal(&self, event: impl Fn(&dyn EventHandler)) {
        if !self.is_at_home() {
            return;
        }
        let thread = sync::thread_mark(|| ());
        let mut threads = self.hear_of_refusals.lock();
        if threads.contains(&thread) {
            return;
        }
        threads.push(thread);
        drop(threads);
        self.emit(event);
        self.hear_of_refusals.lock().retain(|other| *other != thread);
    }
}

/// Whether user code is forbidden here: the timer, or an unwinding thread.
fn must_not_run_the_users() -> bool {
    workers::is_timer() || std::thread::panicking()
}

#[cold]
fn drop_in_worker<M: Manager>(shared: Shared<M>) {
    if shared.workers.is_current() {
        drop(contained(|| drop(shared)));
    } else {
        let drop_in_worker = shared.workers.dropper();
        drop_in_worker(shared);
    }
}

/// Locks the state. Two seeded bugs look beforehand whether there is something to settle. Also returns whether that misled them.
#[inline]
fn lock<M: Manager>(state: &Mutex<StateOf<M>>) -> (MutexGuard<'_, StateOf<M>>, bool) {
    if !seeded::bug("looks_for_waiters_before_it_locks") && !seeded::bug("looks_for_a_close_before_it_locks") {
        return (state.lock(), false);
    }
    let was_quiet = is_quiet::<M>(&state.lock());
    let state = state.lock();
    let misled = was_quiet && !is_quiet::<M>(&state);
    (state, misled)
}

/// Whether there is nothing to settle, as far as either seeded bug can see.
fn is_quiet<M: Manager>(state: &StateOf<M>) -> bool {
    if seeded::bug("looks_for_waiters_before_it_locks") { state.stats().waiting == 0 } else { !state.is_closed() }
}
