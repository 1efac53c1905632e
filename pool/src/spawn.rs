//! Threads for the closures of tasks.

/// Runs closures on threads where they may block. See [`Builder::run_on`](crate::Builder::run_on).
///
/// For tokio use `cabrank::Tokio`, with the feature `tokio`. For others pass a closure: `|work: Work| smol::unblock(work).detach()`. If
/// it panics or drops the work, the future of [`Pool::run_async`](crate::Pool::run_async) ends with
/// [`RunError::NotRun`](crate::RunError::NotRun).
pub trait Spawn: Send + Sync + 'static {
    /// Runs `work` soon. Must not run it in this thread, which is a task's.
    fn spawn(&self, work: Work);
}

/// A closure to run.
pub type Work = Box<dyn FnOnce() + Send>;

impl<F: Fn(Work) + Send + Sync + 'static> Spawn for F {
    fn spawn(&self, work: Work) {
        self(work);
    }
}

/// Runs closures by `spawn_blocking` of the tokio runtime in which their future is polled. With the feature `tokio`.
///
/// The closures may therefore use the runtime (`Handle::current()`), and count among its threads. At most one runs per connection, but
/// other blocking work there, up to 512 closures by default, can occupy the threads that they need. The pool's own threads, the default,
/// run nothing else.
///
/// Each poll looks up the current runtime, and none is stored: the pool may be built before any runtime exists, and may outlive several,
/// as in tests. If polled outside of a runtime, or in one that has been shut down, the future ends with
/// [`RunError::NotRun`](crate::RunError::NotRun), and the connection is returned. To use one runtime wherever the future is polled:
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
        // Without a runtime the work is dropped, which yields `NotRun`.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(work));
        }
    }
}
