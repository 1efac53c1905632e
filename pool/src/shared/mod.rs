//! What all handles, guards and workers of one pool share. The only place that locks the state.
//!
//! `held.rs` has capacity as a value, `job.rs` what the workers are asked to do, `call.rs` a driver call under its limit,
//! `session.rs` the set-up and the reset of a session.

mod call;
mod held;
mod job;
mod session;

pub(crate) use call::CallOutcome;
pub(crate) use held::{Held, Slot, SlottedConnection};
pub(crate) use job::Job;

use crate::config::Config;
use crate::contain::contained;
use crate::event::EventHandler;
use crate::limit::Fuse;
use crate::manager::Manager;
use crate::seeded;
use crate::state::State;
use crate::state::actions::{Action, Actions, Opening};
use crate::sync;
use crate::sync::Mutex;
use crate::workers::Workers;
use std::sync::Arc;
use std::time::Instant;

pub(crate) struct Shared<M: Manager> {
    pub(crate) manager: M,
    pub(crate) config: Config,
    pub(crate) name: Arc<str>,
    pub(crate) hooks: Hooks<M>,
    pub(crate) workers: Workers<Job<M>>,
    /// The pool's one lock. Under it nothing runs but `State`'s methods, and only through [`Shared::with`].
    state: Mutex<StateOf<M>>,
}

type StateOf<M> = State<SlottedConnection<M>, <M as Manager>::Error>;
type ActionsOf<M> = Actions<SlottedConnection<M>, <M as Manager>::Error>;

/// The user's own code that a pool runs.
pub(crate) struct Hooks<M: Manager> {
    pub(crate) on_open: Option<OnOpen<M>>,
    pub(crate) events: Option<Arc<dyn EventHandler>>,
    #[cfg(feature = "tracing")]
    pub(crate) tracing: crate::trace::Tracing,
}

pub(crate) type OnOpen<M> =
    Box<dyn Fn(&mut <M as Manager>::Connection) -> Result<(), <M as Manager>::Error> + Send + Sync>;

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
        change: impl FnOnce(&mut StateOf<M>, &mut ActionsOf<M>) -> R,
    ) -> R {
        let mut actions = Actions::new();
        let was_open = seeded::bug("settles_by_an_earlier_look") && !self.state.lock().is_closed();
        let mut state = self.state.lock();
        let result = change(&mut state, &mut actions);
        if !(was_open && state.is_closed()) {
            state.settle(now, &mut actions);
        }
        drop(state);
        if !actions.is_empty() {
            self.perform(actions);
        }
        result
    }

    fn perform(self: &Arc<Self>, actions: ActionsOf<M>) {
        // What runs the user's code comes last: it may take its time, and nothing else may wait for it.
        let mut news = Vec::new();
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
                        self.workers.submit(Job::EndCall { pool: Arc::downgrade(self), slot, fuse, worker_id: None });
                    }
                }
                Action::Widen(difference) => self.workers.widen(difference),
                Action::Alarm(at) => {
                    self.workers.schedule_maintenance(at, Job::Tick(Arc::downgrade(self), at));
                }
                Action::ReportLeak(_) | Action::TellGivenUp(..) | Action::Drop(_) => news.push(action),
            }
        }
        if !news.is_empty() {
            self.tell(news);
        }
    }

    /// Runs what is the user's: handlers and destructors.
    #[cold]
    fn tell(&self, news: ActionsOf<M>) {
        for action in news {
            match action {
                Action::ReportLeak(holder) => self.emit(|events| events.leaked(&self.config.name, &holder)),
                Action::TellGivenUp(cause, took) => self.tell_open_failed(cause.to_error().as_ref(), took),
                Action::Drop(error) => drop(contained(|| drop(error))),
                _ => {}
            }
        }
    }

    /// Refuses new loans, wakes those who wait, closes what is idle. Waits for nobody.
    pub(crate) fn close(self: &Arc<Self>) {
        let now = sync::now();
        if self.with(now, |state, actions| state.close(now, actions)) {
            self.workers.wind_down(|job| !matches!(job, Job::Tick(..)));
        }
    }

    /// Hands an event to the handlers. A panic of the user's stays inside.
    #[inline]
    pub(crate) fn emit(&self, event: impl Fn(&dyn EventHandler)) {
        #[cfg(feature = "tracing")]
        let _ = contained(|| event(&self.hooks.tracing));
        if let Some(events) = &self.hooks.events {
            let _ = contained(|| event(&**events));
        }
    }
}
