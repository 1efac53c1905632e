//! The workers from the side of one pool: jobs, alarms, a lane for work without a waiter, and the end.
//!
//! Independent of pools: a job is a `J`, and a function given at the start runs it. The threads belong to a set (`set.rs`) that serves
//! all pools of the process: as many as there are driver calls under way, and one timer (`timetable.rs`).

mod accounts;
mod lane;
mod life;
#[cfg(all(test, loom))]
mod play;
mod process;
mod seat;
mod set;
#[cfg(all(test, not(loom)))]
mod tests;
mod timetable;

#[cfg(all(test, loom))]
pub(crate) use play::Part;
pub(crate) use set::WorkerSet;
pub(crate) use timetable::Alarm;

use crate::sync::{AtomicUsize, Ordering};
use crate::waiter::Waiter;
use accounts::Retries;
use lane::Lane;
use set::{Set, Task};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;
use timetable::Timer;

/// A pool's handle on a set of workers.
pub(crate) struct Workers<J: Send + 'static> {
    set: Arc<Set>,
    /// The pool's number, which no other pool of the process has.
    pool: usize,
    run: fn(J),
    lane: Arc<Lane<J>>,
}

thread_local! {
    /// The pool for which this thread is working.
    static CURRENT: Cell<usize> = const { Cell::new(NONE) };
    /// The earlier values of [`CURRENT`], if one pool's hook uses another pool.
    static OUTER: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

impl<J: Send + 'static> Workers<J> {
    pub(crate) fn new(set: &WorkerSet, run: fn(J)) -> Self {
        static LAST: AtomicUsize = AtomicUsize::new(TIMER);
        let pool = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        set.0.open(pool);
        Self { set: Arc::clone(&set.0), pool, run, lane: Lane::new(run) }
    }

    /// Has a worker run this job at once. If no thread can be started, the job stays queued and is tried again.
    pub(crate) fn submit(&self, job: J) {
        let run = self.run;
        self.set.submit(Task::new(self.pool, move || run(job)));
    }

    /// Has workers run these jobs in order, a few at a time. Each has a key.
    pub(crate) fn submit_background(&self, jobs: Vec<(usize, J)>) {
        self.lane.enter(&self.set, self.pool, jobs);
    }

    /// The background job under way with this key, if there is one, may never end: it no longer counts among the few.
    pub(crate) fn leave_background(&self, key: usize) {
        self.lane.give_up_place(&self.set, self.pool, key);
    }

    /// Takes the first job of this kind out of the background work that has not begun.
    pub(crate) fn pull_background(&self, is_wanted: impl Fn(&J) -> bool) -> Option<J> {
        self.lane.pull(is_wanted)
    }

    /// Changes all background jobs that have not begun. From now on they wait for none that has.
    pub(crate) fn change_background(&self, change: impl FnMut(&mut J)) {
        self.lane.change(&self.set, self.pool, change);
    }

    /// A way to have a value dropped in a worker, which outlives this handle.
    pub(crate) fn dropper<T: Send + 'static>(&self) -> impl FnOnce(T) + use<T, J> {
        let (set, pool) = (Arc::clone(&self.set), self.pool);
        move |thing| set.submit(Task::new(pool, move || drop(thing)))
    }

    /// Has the timer run `ring` at `time`. It must not block, and may run no user code except what ends a call.
    pub(crate) fn at(&self, time: Instant, ring: impl FnOnce() + Send + 'static) -> Alarm {
        self.set.at(self.pool, time, Box::new(ring))
    }

    /// Orders the next maintenance. There is one alarm for it: the earlier of two is kept until it rings.
    pub(crate) fn schedule_maintenance(&self, time: Instant, ring: impl FnOnce() + Send + 'static) {
        self.set.schedule_maintenance(self.pool, time, Box::new(ring));
    }

    /// Removes an alarm, if it has not rung.
    pub(crate) fn cancel_alarm(&self, alarm: Alarm) {
        self.set.cancel_alarm(alarm);
    }

    /// Whether this thread works for this pool, and would wait for itself.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        match CURRENT.try_with(Cell::get) {
            Ok(NONE) | Err(_) => false,
            Ok(current) => current == self.pool || self.is_outer(),
        }
    }

    #[cold]
    fn is_outer(&self) -> bool {
        OUTER.try_with(|outer| outer.borrow().contains(&self.pool)) == Ok(true)
    }

    /// Runs a hook of this pool, which must not unwind, in a borrower's thread. Meanwhile that thread works for this pool.
    pub(crate) fn run_here<T>(&self, hook: impl FnOnce() -> T) -> T {
        if cfg!(loom) {
            return hook(); // A model's threads share their thread-locals.
        }
        let outer = CURRENT.replace(self.pool);
        let _ = OUTER.try_with(|pools| pools.borrow_mut().push(outer));
        let answer = hook();
        let _ = OUTER.try_with(|pools| pools.borrow_mut().pop());
        CURRENT.set(outer);
        answer
    }

    /// Parks until woken or until `deadline`, as the waiter does. The awaited work needs threads: as long as neither a worker nor the
    /// timer could be spawned, it tries again itself.
    pub(crate) fn park(&self, waiter: &Waiter, deadline: Option<Instant>) -> bool {
        let mut retries = Retries::new();
        while self.set.is_starved() && self.set.state.lock().timer == Timer::Absent {
            let again = retries.next(deadline);
            if waiter.park(again) {
                return true;
            }
            if again == deadline {
                return false;
            }
            self.set.retry();
        }
        waiter.park(deadline)
    }

    /// Whether there is work for which no thread could be started.
    pub(crate) fn is_starved(&self) -> bool {
        self.set.is_starved()
    }

    /// Tries again to find threads for the queued work.
    pub(crate) fn retry(&self) {
        self.set.retry();
    }

    /// The pool is closed, and needs no more maintenance. If it was the last open pool of the set, threads end as soon as they have
    /// nothing to do.
    pub(crate) fn wind_down(&self) {
        self.set.close(self.pool);
    }

    /// Waits until no job of this pool is under way and, if no pool is open, until the threads without work have ended; or until
    /// `deadline`. Returns how many threads are still in this pool's jobs. Only after [`wind_down`](Self::wind_down).
    pub(crate) fn join(&self, deadline: Option<Instant>) -> usize {
        self.set.join(self.pool, deadline)
    }
}

impl<J: Send + 'static> Drop for Workers<J> {
    fn drop(&mut self) {
        // Never joins: one of these threads may drop the last handle.
        self.set.forget(self.pool);
    }
}

/// Whether this thread is a timer. It must run nothing that may take long.
pub(crate) fn is_timer() -> bool {
    CURRENT.try_with(Cell::get) == Ok(TIMER)
}

/// Values of [`CURRENT`] that are no pool's number: no worker, and a timer.
const NONE: usize = 0;
const TIMER: usize = 1;
