//! What all handles, guards and workers of one pool share. The only place that locks the state.

mod held;

pub(crate) use held::{Held, Slot, SlottedConnection};

use crate::config::Config;
use crate::contain::contained;
use crate::error::{Cause, Holder};
use crate::event::EventHandler;
use crate::gate::Refusal;
use crate::limit::{Fired, Fuse, Limit};
use crate::manager::{AbortHandle, Manager};
use crate::reason::CloseReason;
use crate::slots::{Phase, SlotId};
use crate::state::State;
use crate::state::actions::{Action, Actions, Opening};
use crate::sync;
use crate::sync::{Mutex, Sender};
use crate::workers::Workers;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

pub(crate) struct Shared<M: Manager> {
    pub(crate) manager: M,
    pub(crate) config: Config,
    pub(crate) name: Arc<str>,
    pub(crate) hooks: Hooks<M>,
    pub(crate) workers: Workers<Job<M>>,
    /// The pool's one lock. Under it nothing runs but `State`'s methods, and only through [`Shared::with`].
    state: Mutex<State<SlottedConnection<M>, M::Error>>,
}

/// The user's own code that a pool runs.
pub(crate) struct Hooks<M: Manager> {
    pub(crate) on_open: Option<OnOpen<M>>,
    pub(crate) events: Option<Arc<dyn EventHandler>>,
    #[cfg(feature = "tracing")]
    pub(crate) tracing: crate::trace::Tracing,
}

pub(crate) type OnOpen<M> =
    Box<dyn Fn(&mut <M as Manager>::Connection) -> Result<(), <M as Manager>::Error> + Send + Sync>;

/// Work for the workers. Each kind that concerns a connection carries it with its slot.
pub(crate) enum Job<M: Manager> {
    Open {
        slot: Slot<M>,
        limit: Duration,
        generation: u64,
    },
    Check(Held<M>),
    Reset(Held<M>),
    Close(Held<M>, CloseReason),
    /// Asks the server, within `limit`, to cancel what the holder runs; if it could ask, sends the holder to `cancelled`.
    Cancel {
        pool: Arc<Shared<M>>,
        abort_handle: Arc<dyn AbortHandle>,
        limit: Duration,
        holder: Holder,
        cancelled: Sender<Holder>,
    },
    /// Ends a call that concerns no slot.
    Fire(Fuse),
    /// A driver call's limit has passed, or its connection's slot is wanted.
    Expire {
        pool: Weak<Shared<M>>,
        slot: SlotId,
        fuse: Fuse,
        worker_id: Option<u64>,
    },
    /// The maintenance, ordered for that moment.
    Tick(Weak<Shared<M>>, Instant),
}

/// What became of a driver call.
pub(crate) struct CallOutcome<T> {
    /// What it answered, or its panic's message.
    pub(crate) answer: Result<T, String>,
    /// Was it given up? Then the connection must be discarded, whatever the answer.
    pub(crate) over: bool,
    pub(crate) took: Duration,
    pub(crate) ended: Instant,
}

impl<M: Manager> Shared<M> {
    pub(crate) fn new(manager: M, config: Config, hooks: Hooks<M>, run: fn(Job<M>)) -> Arc<Self> {
        let state = State::new(&config, sync::now(), sync::wall(), fastrand::Rng::new());
        let workers = Workers::new(&config.name, (config.max_size as usize).saturating_add(1), run);
        let name = Arc::from(&*config.name);
        Arc::new(Self { manager, config, name, hooks, workers, state: Mutex::new(state) })
    }

    /// One transaction: lock, change, settle, unlock, and only then do what is to be done.
    #[inline]
    pub(crate) fn with<R>(
        self: &Arc<Self>,
        now: Instant,
        change: impl FnOnce(&mut State<SlottedConnection<M>, M::Error>, &mut Actions<SlottedConnection<M>, M::Error>) -> R,
    ) -> R {
        let mut actions = Actions::new();
        let mut state = self.state.lock();
        let result = change(&mut state, &mut actions);
        state.settle(now, &mut actions);
        drop(state);
        if !actions.is_empty() {
            self.perform(actions);
        }
        result
    }

    fn perform(self: &Arc<Self>, actions: Actions<SlottedConnection<M>, M::Error>) {
        // What runs the user's code comes last: it may take its time, and nothing else may wait for it.
        let (mut leaks, mut errors) = (Vec::new(), Vec::new());
        for action in actions {
            match action {
                Action::Wake(wake) => wake.wake(),
                Action::Open(Opening { slot: id, limit, generation }) => {
                    self.workers.submit(Job::Open { slot: Slot::new(self, id), limit, generation });
                }
                Action::Check(entry) => self.workers.submit(Job::Check(Held::hold(self, entry))),
                Action::Reset(entry) => self.workers.submit(Job::Reset(Held::hold(self, entry))),
                Action::Close(entry, reason) => self.workers.submit(Job::Close(Held::hold(self, entry), reason)),
                Action::Abort(slot, call) => {
                    if let Some(fuse) = Fuse::upgrade(&call) {
                        self.workers.submit(Job::Expire { pool: Arc::downgrade(self), slot, fuse, worker_id: None });
                    }
                }
                Action::Widen(difference) => self.workers.widen(difference),
                Action::Alarm(at) => {
                    self.workers.schedule_maintenance(at, Job::Tick(Arc::downgrade(self), at));
                }
                Action::ReportLeak(holder) => leaks.push(holder),
                Action::Drop(error) => errors.push(error),
            }
        }
        for holder in leaks {
            self.tell(|events| events.leaked(&self.config.name, &holder));
        }
        for error in errors {
            let _ = contained(|| drop(error));
        }
    }

    /// Makes a driver call for what fills `slot`, in this worker thread, for at most `span`. When the time is over the
    /// call is aborted: by what the call itself registers, or by `abort_handle`.
    pub(crate) fn call<T>(
        self: &Arc<Self>,
        slot: SlotId,
        span: Duration,
        abort_handle: Option<&Arc<dyn AbortHandle>>,
        call: impl FnOnce(&Limit) -> T,
    ) -> CallOutcome<T> {
        let began = sync::now();
        let limit = Limit::new(&self.name, began, span);
        if let Some(abort_handle) = abort_handle {
            let abort_handle = Arc::clone(abort_handle);
            limit.on_abort(move || abort_handle.abort());
        }
        let fuse = limit.fuse();
        self.with(began, |state, _| state.call_began(slot, fuse.downgrade()));
        let worker_id = Some(self.workers.worker_id());
        let alarm = limit
            .deadline()
            .map(|at| self.workers.at(at, Job::Expire { pool: Arc::downgrade(self), slot, fuse, worker_id }));

        let answer = contained(|| call(&limit));

        if let Some(alarm) = alarm {
            self.workers.cancel_alarm(alarm);
        }
        let over = limit.disarm();
        let ended = sync::now();
        CallOutcome { answer, over, took: ended.saturating_duration_since(began), ended }
    }

    /// Ends the call that `fuse` belongs to, if it still runs.
    pub(crate) fn expire(self: &Arc<Self>, slot: SlotId, fuse: &Fuse, worker_id: Option<u64>) {
        let now = sync::now();
        fuse.fire(|fired| {
            let written_off = self.with(now, |state, actions| {
                if state.phase(slot) == Phase::Opening {
                    // It has failed now, not when it returns: the next attempt keeps its distance from this moment.
                    state.open_failed(
                        Refusal::Unavailable,
                        Cause::seen(format!("connecting took longer than {:?}", fuse.span())),
                        now,
                        actions,
                    );
                }
                match fired {
                    // An engine in this process has no socket to shut down: its session ends when the call returns.
                    Fired::Aborted if !M::REMOTE => false,
                    Fired::Aborted => {
                        state.aborted(slot, now, actions);
                        false
                    }
                    Fired::WrittenOff if state.phase(slot) == Phase::Opening => {
                        state.abandoned(slot, now);
                        true
                    }
                    Fired::WrittenOff | Fired::Stuck => {
                        state.stuck(slot);
                        false
                    }
                }
            });
            if let (true, Some(worker_id)) = (written_off, worker_id) {
                self.workers.write_off(worker_id);
            }
        });
    }

    /// Refuses new loans, wakes those who wait, closes what is idle. Waits for nobody.
    pub(crate) fn close(self: &Arc<Self>) {
        let now = sync::now();
        if self.with(now, |state, actions| state.close(now, actions)) {
            self.workers.wind_down(|job| !matches!(job, Job::Tick(..)));
        }
    }

    /// Sets up a session: after opening, and again after each reset.
    pub(crate) fn set_up(&self, conn: &mut M::Connection) -> Result<(), M::Error> {
        if let Some(on_open) = &self.hooks.on_open {
            on_open(conn)?;
        }
        self.manager.start_tracking(conn);
        Ok(())
    }

    /// Tells the event handlers. A panic of the user's stays inside.
    #[inline]
    pub(crate) fn tell(&self, event: impl Fn(&dyn EventHandler)) {
        #[cfg(feature = "tracing")]
        let _ = contained(|| event(&self.hooks.tracing));
        if let Some(events) = &self.hooks.events {
            let _ = contained(|| event(&**events));
        }
    }
}
