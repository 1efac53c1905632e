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
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
/// # let manager = Toy;
/// use tokio::runtime::Handle;
///
/// let pool = Pool::builder().run_on(cabrank::Tokio).build(manager)?;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let inserted = pool
///     .run_async(|conn| {
///         let order = Handle::current().block_on(async { 7 });
///         conn.execute(&format!("INSERT INTO orders VALUES ({order})"))
///     })
///     .await?;
/// assert_eq!(inserted, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
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
