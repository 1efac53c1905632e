//! Where the closures of tasks run.

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
