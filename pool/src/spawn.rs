//! Where the closures of tasks run.

/// Runs closures on threads on which they may block. See [`Builder::run_on`](crate::Builder::run_on).
///
/// For tokio there is `cabrank::Tokio`, with the feature `tokio`. For others a closure does: `|work: Work| smol::unblock(work).detach()`. A
/// panic in it, or work that it drops, ends the future of [`Pool::run_async`](crate::Pool::run_async) with
/// [`RunError::NotRun`](crate::RunError::NotRun).
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

/// Runs closures by `spawn_blocking` of the tokio runtime in which their future is polled. With the feature `tokio`.
///
/// So they may ask for the runtime (`Handle::current()`), and count among its threads. There are no more of them at a time than
/// connections, but what else blocks there, up to 512 closures by default, can take the threads that they wait for. The pool's own, which
/// run them by default, are taken by nothing else.
///
/// The runtime of each poll is asked, and none is kept: so the pool may be built before there is a runtime, and outlive several, as in
/// tests. Polled outside of one, or in one that has been shut down, the future ends with
/// [`RunError::NotRun`](crate::RunError::NotRun), and the connection is back. For one runtime, wherever the future is polled:
/// `let handle = Handle::current(); builder.run_on(move |work: Work| drop(handle.spawn_blocking(work)))`.
///
/// ```
/// # use cabrank::{Limit, Manager, Pool};
/// # struct Toy;
/// # impl Manager for Toy {
/// #     type Connection = i64;
/// #     type Error = std::io::Error;
/// #     fn connect(&self, _: &Limit) -> std::io::Result<i64> { Ok(7) }
/// #     fn is_valid(&self, _: &mut i64, _: &Limit) -> std::io::Result<()> { Ok(()) }
/// #     fn has_broken(&self, _: &mut i64) -> bool { false }
/// # }
/// use tokio::runtime::Handle;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().run_on(cabrank::Tokio).build(Toy)?;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let sum = pool
///     .run_async(|conn| -> Result<i64, std::io::Error> {
///         let more = Handle::current().block_on(async { 1 });
///         Ok(**conn + more)
///     })
///     .await?;
/// assert_eq!(sum, 8);
/// # Ok(())
/// # })
/// # }
/// ```
#[cfg(all(feature = "tokio", not(loom)))]
#[derive(Debug, Clone, Copy, Default)]
pub struct Tokio;

#[cfg(all(feature = "tokio", not(loom)))]
impl Spawn for Tokio {
    fn spawn(&self, work: Work) {
        // Without a runtime the work is dropped, which is told as that.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(work));
        }
    }
}
