//! The threads that run the closures of tasks. They are not the workers, which must be free for the pool's own calls.

use super::Shared;
use crate::contain::contained;
use crate::manager::Manager;
use crate::spawn::Work;
use crate::sync;
use crate::sync::OnceLock;
use crate::workers::{WorkerSet, Workers};
use std::sync::Arc;
use std::time::Duration;

/// A pool's own threads for closures, from the first one on: as many as closures are under way, and therefore no more than connections.
#[derive(Default)]
pub(super) struct Runners(OnceLock<Workers<Work>>);

impl Runners {
    /// Returns whether there is work for which no thread can be started.
    fn run(&self, work: Work) -> bool {
        let threads = self.0.get_or_init(|| threads_of(&WorkerSet::of_closures()));
        threads.submit(work);
        threads.is_starved()
    }

    /// For a test: uses these threads.
    #[cfg(all(test, not(loom)))]
    pub(super) fn stand_on(&self, set: &WorkerSet) {
        self.0.get_or_init(|| threads_of(set));
    }

    fn retry(&self) -> bool {
        self.0.get().is_some_and(|threads| {
            threads.retry();
            threads.is_starved()
        })
    }

    /// The pool is closed: its threads end as soon as they have nothing to do.
    pub(super) fn wind_down(&self) {
        if let Some(threads) = self.0.get() {
            threads.wind_down();
        }
    }
}

fn threads_of(set: &WorkerSet) -> Workers<Work> {
    Workers::new(set, |work| work())
}

impl<M: Manager> Shared<M> {
    /// Runs a closure of a task by the user's `spawn`, or else on one of these threads.
    pub(crate) fn run_blocking(self: &Arc<Self>, work: Work) {
        match &self.hooks.spawn {
            // If it panics it drops the work, which reports that to the task.
            Some(spawn) => drop(contained(|| spawn.spawn(work))),
            None => self.run_on_own_thread(work),
        }
    }

    pub(crate) fn run_on_own_thread(self: &Arc<Self>, work: Work) {
        if self.runners.run(work) {
            self.retry_later();
        }
    }

    /// Has the timer try again to find threads for closures, because the task that waits for one cannot.
    #[cold]
    fn retry_later(self: &Arc<Self>) {
        let pool = Arc::downgrade(self);
        self.workers.at(sync::now() + RETRY_AFTER, move || {
            let Some(shared) = pool.upgrade() else { return };
            if shared.runners.retry() {
                shared.retry_later();
            }
            shared.leave_to_worker();
        });
    }
}

const RETRY_AFTER: Duration = Duration::from_millis(10);
