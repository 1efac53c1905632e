//! The threads on which the closures of tasks run. They are not the workers, which must be free for the pool's own calls.

use super::Shared;
use crate::contain::contained;
use crate::manager::Manager;
use crate::spawn::Work;
use crate::sync;
use crate::sync::OnceLock;
use crate::workers::{WorkerSet, Workers};
use std::sync::Arc;
use std::time::Duration;

/// A pool's own threads for this, from the first closure on: as many as there are closures under way, and so no more than connections.
#[derive(Default)]
pub(super) struct Runners(OnceLock<Workers<Work>>);

impl Runners {
    /// Returns whether there is work for which no thread can be had.
    fn run(&self, work: Work) -> bool {
        let threads = self.0.get_or_init(|| threads_of(&WorkerSet::of_closures()));
        threads.submit(work);
        threads.is_starved()
    }

    /// For a test: these are the threads.
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
    /// Runs a closure of a task where the user has said, or else on one of these threads.
    pub(crate) fn run_blocking(self: &Arc<Self>, work: Work) {
        match &self.hooks.spawn {
            // A panic drops the work, which is told as that.
            Some(spawn) => drop(contained(|| spawn.spawn(work))),
            None => self.run_on_own_thread(work),
        }
    }

    pub(crate) fn run_on_own_thread(self: &Arc<Self>, work: Work) {
        if self.runners.run(work) {
            self.retry_later();
        }
    }

    /// The timer tries again to find threads for closures: the task that waits for one cannot.
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
