//! Threads on which the closures of tasks may block.

use crate::shared::Shared;
use crate::manager::Manager;
use crate::workers::{WorkerSet, Workers};

/// Runs closures on threads on which they may block. See [`Builder::run_on`](crate::Builder::run_on).
///
/// A closure does: `|work| drop(tokio::task::spawn_blocking(work))`. A panic in it, or work that it drops, ends the future of
/// [`Pool::run_async`](crate::Pool::run_async) with [`RunError::NotRun`](crate::RunError::NotRun).
pub trait Spawn: Send + Sync + 'static {
    /// Runs `work` soon. Must not run it in this thread, which is that of a task.
    fn spawn(&self, work: Work);
}

/// A closure to be run.
pub type Work = Box<dyn FnOnce() + Send>;

impl<F: Fn(Work) + Send + Sync + 'static> Spawn for F {
    fn spawn(&self, work: Work) {
        self(work);
    }
}

/// The pool's own threads for its tasks' closures: as many as there are closures under way, and so no more than connections. They are
/// not its workers, which must be free for its own calls.
pub(crate) type Runners = Workers<Work>;

pub(crate) fn runners() -> Runners {
    Workers::new(&WorkerSet::of_closures(), |work: Work| work())
}

impl<M: Manager> Shared<M> {
    /// Runs a closure of a task, by what the user has set or by threads of the pool's own.
    pub(crate) fn run_blocking(&self, work: Work) {
        match &self.hooks.spawn {
            // A panic drops the work, and that is its answer.
            Some(spawn) => drop(crate::contain::contained(|| spawn.spawn(work))),
            None => self.run_on_own_thread(work),
        }
    }

    pub(crate) fn run_on_own_thread(&self, work: Work) {
        self.runners.get_or_init(runners).submit(work);
    }
}
