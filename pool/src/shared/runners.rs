//! The threads on which the closures of tasks run. They are not the workers, which must be free for the pool's own calls.

use super::Shared;
use crate::contain::contained;
use crate::manager::Manager;
use crate::spawn::Work;
use crate::sync::OnceLock;
use crate::workers::{WorkerSet, Workers};

/// A pool's own threads for this, from the first closure on: as many as there are closures under way, and so no more than connections.
#[derive(Default)]
pub(super) struct Runners(OnceLock<Workers<Work>>);

impl Runners {
    fn run(&self, work: Work) {
        let threads = || Workers::new(&WorkerSet::of_closures(), |work: Work| work());
        self.0.get_or_init(threads).submit(work);
    }

    /// The pool is closed: its threads end as soon as they have nothing to do.
    pub(super) fn wind_down(&self) {
        if let Some(threads) = self.0.get() {
            threads.wind_down();
        }
    }
}

impl<M: Manager> Shared<M> {
    /// Runs a closure of a task where the user has said, or else on a thread of the pool's own.
    pub(crate) fn run_blocking(&self, work: Work) {
        match &self.hooks.spawn {
            // A panic drops the work, which is told as that.
            Some(spawn) => drop(contained(|| spawn.spawn(work))),
            None => self.run_on_own_thread(work),
        }
    }

    pub(crate) fn run_on_own_thread(&self, work: Work) {
        self.runners.run(work);
    }
}
