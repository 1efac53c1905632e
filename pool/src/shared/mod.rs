//! What all handles, guards and crew threads of one pool share. The only place that locks the state.

mod held;

pub(crate) use held::{Cab, Held, Slot};

use crate::config::Config;
use crate::contain::contained;
use crate::crew::Crew;
use crate::error::{Cause, Holder};
use crate::event::EventHandler;
use crate::gate::Refusal;
use crate::limit::{Fired, Fuse, Limit};
use crate::manager::{Line, Manager};
use crate::reason::CloseReason;
use crate::slots::{Phase, SlotId};
use crate::state::State;
use crate::state::todo::{Action, Opening, Todo};
use crate::sync;
use crate::sync::{Mutex, Sender};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

pub(crate) struct Shared<M: Manager> {
    pub(crate) manager: M,
    pub(crate) config: Config,
    pub(crate) name: Arc<str>,
    pub(crate) hooks: Hooks<M>,
    pub(crate) crew: Crew<Job<M>>,
    /// The pool's one lock. Under it nothing runs but `State`'s methods, and only through [`Shared::with`].
    state: Mutex<State<Cab<M>, M::Error>>,
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

/// Work for the crew. Each kind that concerns a connection carries it with its slot.
pub(crate) enum Job<M: Manager> {
    Open {
        slot: Slot<M>,
        limit: Duration,
        generation: u64,
    },
    Check(Held<M>),
    Reset(Held<M>),
    Close(Held<M>, CloseReason),
    /// Asks the server to give up what runs on this line, in so long; if it could ask, the holder is told to `cancelled`.
    Cancel {
        pool: Arc<Shared<M>>,
        line: Arc<dyn Line>,
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
        berth: Option<u64>,
    },
    /// The upkeep, ordered for that moment.
    Tick(Weak<Shared<M>>, Instant),
}

/// What became of a driver call.
pub(crate) struct Called<T> {
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
        let crew = Crew::new(&config.name, (config.max_size as usize).saturating_add(1), run);
        let name = Arc::from(&*config.name);
        Arc::new(Self { manager, config, name, hooks, crew, state: Mutex::new(state) })
    }

    /// One transaction: lock, change, settle, unlock, and only then do what is to be done.
    #[inline]
    pub(crate) fn with<R>(
        self: &Arc<Self>,
        now: Instant,
        change: impl FnOnce(&mut State<Cab<M>, M::Error>, &mut Todo<Cab<M>, M::Error>) -> R,
    ) -> R {
        let mut todo = Todo::new();
        let mut state = self.state.lock();
        let result = change(&mut state, &mut todo);
        state.settle(now, &mut todo);
        drop(state);
        if !todo.is_empty() {
            self.perform(todo);
        }
        result
    }

    fn perform(self: &Arc<Self>, todo: Todo<Cab<M>, M::Error>) {
        // What runs the user's code comes last: it may take its time, and nothing else may wait for it.
        let (mut leaks, mut errors) = (Vec::new(), Vec::new());
        for action in todo {
            match action {
                Action::Wake(wake) => wake.wake(),
                Action::Open(Opening { slot: id, limit, generation }) => {
                    self.crew.submit(Job::Open { slot: Slot::new(self, id), limit, generation });
                }
                Action::Check(entry) => self.crew.submit(Job::Check(Held::hold(self, entry))),
                Action::Reset(entry) => self.crew.submit(Job::Reset(Held::hold(self, entry))),
                Action::Close(entry, reason) => self.crew.submit(Job::Close(Held::hold(self, entry), reason)),
                Action::Cut(slot, call) => {
                    if let Some(fuse) = Fuse::upgrade(&call) {
                        self.crew.submit(Job::Expire { pool: Arc::downgrade(self), slot, fuse, berth: None });
                    }
                }
                Action::Crew(difference) => self.crew.widen(difference),
                Action::Alarm(at) => {
                    self.crew.next_upkeep(at, Job::Tick(Arc::downgrade(self), at));
                }
                Action::TellLeak(holder) => leaks.push(holder),
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

    /// Makes a driver call for what fills `slot`, in this crew thread, for at most `span`. When the time is over the
    /// call's line is cut: by what the call itself registers, or by `line`.
    pub(crate) fn call<T>(
        self: &Arc<Self>,
        slot: SlotId,
        span: Duration,
        line: Option<&Arc<dyn Line>>,
        call: impl FnOnce(&Limit) -> T,
    ) -> Called<T> {
        let began = sync::now();
        let limit = Limit::new(&self.name, began, span);
        if let Some(line) = line {
            let line = Arc::clone(line);
            limit.on_cut(move || line.sever());
        }
        let fuse = limit.fuse();
        self.with(began, |state, _| state.call_began(slot, fuse.downgrade()));
        let berth = Some(self.crew.berth());
        let alarm =
            limit.deadline().map(|at| self.crew.at(at, Job::Expire { pool: Arc::downgrade(self), slot, fuse, berth }));

        let answer = contained(|| call(&limit));

        if let Some(alarm) = alarm {
            self.crew.strike(alarm);
        }
        let over = limit.disarm();
        let ended = sync::now();
        Called { answer, over, took: ended.saturating_duration_since(began), ended }
    }

    /// Ends the call that `fuse` belongs to, if it still runs.
    pub(crate) fn expire(self: &Arc<Self>, slot: SlotId, fuse: &Fuse, berth: Option<u64>) {
        let now = sync::now();
        fuse.fire(|fired| {
            let written_off = self.with(now, |state, todo| {
                if state.phase(slot) == Phase::Opening {
                    // It has failed now, not when it returns: the next attempt keeps its distance from this moment.
                    state.open_failed(
                        Refusal::Unavailable,
                        Cause::seen(format!("connecting took longer than {:?}", fuse.span())),
                        now,
                        todo,
                    );
                }
                match fired {
                    // An engine in this process has no line: its session ends when the call returns.
                    Fired::Cut if !M::REMOTE => false,
                    Fired::Cut => {
                        state.severed(slot, now, todo);
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
            if let (true, Some(berth)) = (written_off, berth) {
                self.crew.write_off(berth);
            }
        });
    }

    /// Refuses new loans, wakes those who wait, closes what is idle. Waits for nobody.
    pub(crate) fn close(self: &Arc<Self>) {
        let now = sync::now();
        if self.with(now, |state, todo| state.close(now, todo)) {
            self.crew.wind_down(|job| !matches!(job, Job::Tick(..)));
        }
    }

    /// Sets up a session: after opening, and again after each reset.
    pub(crate) fn set_up(&self, conn: &mut M::Connection) -> Result<(), M::Error> {
        if let Some(on_open) = &self.hooks.on_open {
            on_open(conn)?;
        }
        self.manager.rebase(conn);
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
