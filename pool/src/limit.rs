//! The bound on one driver call: a deadline, and a way to cut the line when it passes.
//!
//! Owns the four states Armed, Firing, Fired, Disarmed. Knows no pool: what a cut means for capacity is told to it.

use crate::contain::contained;
use crate::sync;
use crate::sync::{Condvar, Mutex, after};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The bound on one driver call. The pool hands one to each call of a [`Manager`](crate::Manager) that may block.
///
/// The call should end by [`deadline`](Self::deadline) on its own where the driver can do that. Where it cannot, it
/// registers with [`on_cut`](Self::on_cut) how its line is cut; the pool does so when the deadline passes. A
/// connection whose call was cut is discarded, even if the call still says `Ok`.
pub struct Limit {
    pool: Arc<str>,
    deadline: Option<Instant>,
    cell: Arc<Cell>,
}

impl Limit {
    /// The name of the pool that makes this call, for what a server shows of its sessions.
    pub fn pool(&self) -> &str {
        &self.pool
    }

    /// The moment by which the call should be over; `None` means no limit.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What is left until the deadline, zero if it has passed; `None` means no limit.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(sync::now()))
    }

    /// Has the pool given up on this call?
    pub fn is_over(&self) -> bool {
        matches!(self.cell.state.lock().phase, Phase::Firing | Phase::Fired)
    }

    /// Registers how this call's line is cut, in place of what was registered before.
    ///
    /// `cut` runs at most once, in a crew thread, and at once in this thread if the call is over already. It must not
    /// block, and must own what it touches: shut down a duplicated descriptor or set a shared flag, never use a raw number.
    /// Without a cut a call that hangs keeps its slot until it returns (counted as `stuck`).
    pub fn on_cut(&self, cut: impl FnOnce() + Send + 'static) {
        let cut: Cut = Box::new(cut);
        let mut state = self.cell.state.lock();
        let unused = match state.phase {
            Phase::Armed => state.cut.replace(cut),
            // Too late for the timer: the call is over, so it is cut here. The slot's fate was decided when it fired.
            Phase::Firing | Phase::Fired => {
                drop(state);
                let _ = contained(cut);
                return;
            }
            Phase::Disarmed => Some(cut),
        };
        drop(state);
        drop(unused); // A closure of the user's: never dropped under a lock.
    }

    /// Runs a look-up that nobody can cut, such as a name resolution, and gives up on it at the deadline.
    ///
    /// If `look_up` overruns, this thread is written off (counted as `abandoned`) and replaced, its slot is free at once,
    /// and what `look_up` returns late is dropped: the answer is then `None`, and the call should fail. `look_up`
    /// must open nothing at a server, for the pool no longer counts it.
    pub fn uncuttable<T>(&self, look_up: impl FnOnce() -> T) -> Option<T> {
        /// Leaves also when the look-up panics.
        struct Within<'a>(&'a Cell);
        impl Drop for Within<'_> {
            fn drop(&mut self) {
                self.0.state.lock().uncuttable = false;
            }
        }
        self.cell.enter_uncuttable()?;
        let within = Within(&self.cell);
        let found = look_up();
        drop(within);
        (!self.is_over()).then_some(found)
    }

    pub(crate) fn new(pool: &Arc<str>, began: Instant, span: Duration) -> Self {
        let state = State { phase: Phase::Armed, cut: None, uncuttable: false };
        let cell = Arc::new(Cell { span, state: Mutex::new(state), fired: Condvar::new() });
        Self { pool: Arc::clone(pool), deadline: after(began, span), cell }
    }

    /// The half that the timer keeps.
    pub(crate) fn fuse(&self) -> Fuse {
        Fuse(Arc::clone(&self.cell))
    }

    /// The call has returned: nothing may cut its line from here on. Waits out a running cut. Returns whether the call
    /// was given up, in which case its connection must be discarded.
    pub(crate) fn disarm(&self) -> bool {
        let mut state = self.cell.state.lock();
        #[cfg(not(seeded_bug = "disarm_does_not_wait"))]
        while state.phase == Phase::Firing {
            state = self.cell.fired.wait(state, None);
        }
        let over = match state.phase {
            Phase::Armed => {
                state.phase = Phase::Disarmed;
                false
            }
            Phase::Disarmed => false,
            Phase::Firing | Phase::Fired => true,
        };
        let unused = state.cut.take();
        drop(state);
        let _ = contained(|| drop(unused));
        over
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit").field("remaining", &self.remaining()).field("is_over", &self.is_over()).finish()
    }
}

/// The other end of a [`Limit`], by which the timer ends the call.
#[derive(Clone)]
pub(crate) struct Fuse(Arc<Cell>);

impl Fuse {
    /// Ends the call if it still runs: cuts its line, then tells `then` what became of it. The call cannot be disarmed,
    /// nor its slot reused, before `then` has returned.
    pub(crate) fn fire(&self, then: impl FnOnce(Fired)) {
        let mut state = self.0.state.lock();
        if state.phase != Phase::Armed {
            return;
        }
        state.phase = Phase::Firing;
        let cut = state.cut.take();
        let uncuttable = state.uncuttable;
        drop(state);

        let fired = match cut {
            unused if uncuttable => {
                let _ = contained(|| drop(unused));
                Fired::WrittenOff
            }
            Some(cut) => {
                let _ = contained(cut);
                Fired::Cut
            }
            None => Fired::Stuck,
        };
        then(fired);

        self.0.state.lock().phase = Phase::Fired;
        self.0.fired.notify_all();
    }

    /// How long the call may take.
    pub(crate) fn span(&self) -> Duration {
        self.0.span
    }

    /// A handle for the state's records, which may own nothing that runs user code when dropped.
    pub(crate) fn downgrade(&self) -> std::sync::Weak<Cell> {
        Arc::downgrade(&self.0)
    }

    pub(crate) fn upgrade(weak: &std::sync::Weak<Cell>) -> Option<Self> {
        weak.upgrade().map(Self)
    }
}

/// What became of a call whose limit passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fired {
    /// Its line was cut: it returns soon.
    Cut,
    /// It runs a look-up that nobody can cut: its thread is written off.
    WrittenOff,
    /// It registered no way to cut it: it returns when it returns.
    Stuck,
}

type Cut = Box<dyn FnOnce() + Send>;

pub(crate) struct Cell {
    /// How long the call may take.
    span: Duration,
    state: Mutex<State>,
    fired: Condvar,
}

struct State {
    phase: Phase,
    cut: Option<Cut>,
    uncuttable: bool,
}

/// | phase    | the call  | its line             | who goes on                     |
/// |----------|-----------|----------------------|---------------------------------|
/// | Armed    | runs      | may be cut           | `fire` or `disarm`, first wins  |
/// | Firing   | runs      | is being cut         | `fire`; `disarm` waits          |
/// | Fired    | may run   | was cut, or had none | `disarm` says so                |
/// | Disarmed | returned  | is never cut again   | nobody                          |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Armed,
    Firing,
    Fired,
    Disarmed,
}

impl Cell {
    fn enter_uncuttable(&self) -> Option<()> {
        let mut state = self.state.lock();
        state.uncuttable = state.phase == Phase::Armed;
        state.uncuttable.then_some(())
    }
}
