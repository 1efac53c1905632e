//! Work for tasks: the wait blocks no thread, and the work runs on a thread where it may block.

use crate::answer::Answer;
use crate::checkout::TaskRequest;
use crate::contain::contained;
use crate::error::GetError;
use crate::guard::PooledConnection;
use crate::manager::Manager;
use crate::pool::Pool;
use crate::shared::Canceller;
use crate::sync::{AtomicUsize, Ordering};
use crate::transact::{AsError, RunError, TransactionError, UserError};
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

impl<M: Manager> Pool<M> {
    /// Like [`run`](Self::run), for a task: waits for a connection without a thread, then runs `work` on a thread where it may block.
    ///
    /// The thread is one of the pool's own, unless [`run_on`](crate::Builder::run_on) sets another. `work` starts only with a connection:
    /// at most [`max_size`](crate::Builder::max_size) closures run at a time, and waiting work needs no thread.
    ///
    /// Dropping the future while it waits gives up its place. Once `work` runs, it runs to its end, and then the connection returns; see
    /// [`cancel_on_drop`](RunAsync::cancel_on_drop). A panic of `work` closes its connection and becomes [`RunError::Panicked`]. With the
    /// feature `tracing`, `work` runs in the span in which `run_async` was called.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// # pollster::block_on(async {
    /// let inserted = pool.run_async(|conn| conn.execute("INSERT INTO orders VALUES (7)")).await?;
    /// assert_eq!(inserted, 1);
    ///
    /// // A query whose result nobody waits for any more may be cancelled.
    /// let query = pool.run_async(|conn| conn.execute("SELECT total FROM orders")).cancel_on_drop();
    /// assert_eq!(query.await?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`RunError`].
    #[track_caller]
    pub fn run_async<T, E, K>(
        &self,
        work: impl FnOnce(&mut PooledConnection<M>) -> Result<T, E> + Send + 'static,
    ) -> RunAsync<M, Result<T, RunError<M::Error, E>>>
    where
        T: Send + 'static,
        E: AsError<K> + Send + 'static,
    {
        self.run_async_at(Location::caller(), move |conn| {
            work(conn).map_err(|error| {
                PooledConnection::report_any(conn, error.as_error());
                RunError::User(UserError::new(error))
            })
        })
    }

    /// The future yields the result of `work`, or the reason why it did not run.
    pub(crate) fn run_async_at<O: Ended<M::Error>>(
        &self,
        call_site: &'static Location<'static>,
        work: impl FnOnce(&mut PooledConnection<M>) -> O + Send + 'static,
    ) -> RunAsync<M, O> {
        let request = TaskRequest::new(self.config().acquire_timeout, call_site);
        let stage = Stage::Waits(request, in_span(work));
        RunAsync { pool: self.clone(), stage, cancels: false }
    }
}

/// The future returned by [`Pool::run_async`] and [`Transaction::run_async`](crate::Transaction::run_async). `O` is the result.
#[must_use = "a future does nothing until it is polled"]
pub struct RunAsync<M: Manager, O> {
    pool: Pool<M>,
    stage: Stage<M, O>,
    cancels: bool,
}

enum Stage<M: Manager, O> {
    Waits(TaskRequest, Borrowing<M, O>),
    Runs(Arc<Answer<O>>, Option<Cancel>),
    Over,
}

/// Cancels work when its future is dropped.
struct Cancel {
    canceller: Canceller,
    progress: Arc<AtomicUsize>,
}

/// Work was handed over, and begins unless its future is dropped first.
const HANDED_OVER: usize = 0;
const BEGUN: usize = 1;
const DROPPED: usize = 2;

/// The closure that is given the connection.
type Borrowing<M, O> = Box<dyn FnOnce(PooledConnection<M>) -> O + Send>;

/// The results of work that did not complete.
pub trait Ended<D>: Send + 'static {
    #[doc(hidden)]
    fn unserved(error: GetError<D>) -> Self;
    #[doc(hidden)]
    fn panicked(message: String) -> Self;
    #[doc(hidden)]
    fn not_run() -> Self;
}

impl<D: Send + Sync + 'static, T: Send + 'static, E: Send + 'static> Ended<D> for Result<T, RunError<D, E>> {
    fn unserved(error: GetError<D>) -> Self {
        Err(RunError::Get(error))
    }
    fn panicked(message: String) -> Self {
        Err(RunError::Panicked(message))
    }
    fn not_run() -> Self {
        Err(RunError::NotRun)
    }
}

impl<D: Send + Sync + 'static, T: Send + 'static, E: Send + 'static> Ended<D> for Result<T, TransactionError<D, E>> {
    fn unserved(error: GetError<D>) -> Self {
        Err(TransactionError::Get(error))
    }
    fn panicked(message: String) -> Self {
        Err(TransactionError::Panicked(message))
    }
    fn not_run() -> Self {
        Err(TransactionError::NotRun)
    }
}

impl<M: Manager, O> RunAsync<M, O> {
    /// Cancels the work if the future is dropped while it runs, for example because a web client hung up: asks the server to cancel the
    /// running statement. The connection is not lent again, unless it is one to an engine in this process. Work that has its connection
    /// but has not begun does not begin. Work between two statements goes on with the next. Does nothing if the manager offers no
    /// [`abort_handle`](Manager::abort_handle).
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancels = true;
        self
    }
}

impl<M: Manager, O: Ended<M::Error>> Future for RunAsync<M, O> {
    type Output = O;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<O> {
        let this = self.get_mut();
        if let Stage::Waits(request, _) = &mut this.stage {
            let held = match request.poll(this.pool.own_ref(), context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(held) => held,
            };
            let Stage::Waits(_, work) = std::mem::replace(&mut this.stage, Stage::Over) else { unreachable!() };
            match held {
                Ok(held) => this.stage = this.run(PooledConnection::new(held), work),
                Err(error) => return Poll::Ready(O::unserved(error)),
            }
        }
        let Stage::Runs(answer, _) = &this.stage else {
            panic!("`run_async` future polled after completion");
        };
        if !this.pool.shared().is_at_home() {
            // The thread that runs it is the parent's.
            return Poll::Ready(O::unserved(GetError::Forked));
        }
        let outcome = answer.poll(context);
        if outcome.is_ready() {
            this.stage = Stage::Over;
        }
        outcome
    }
}

impl<M: Manager, O: Ended<M::Error>> RunAsync<M, O> {
    fn run(&self, conn: PooledConnection<M>, work: Borrowing<M, O>) -> Stage<M, O> {
        let canceller = if self.cancels { PooledConnection::canceller(&conn) } else { None };
        let progress = Arc::new(AtomicUsize::new(HANDED_OVER));
        let its_progress = Arc::clone(&progress);
        let (answer, pledge) = Answer::new(O::not_run());
        self.pool.shared().run_blocking(Box::new(move || {
            let is_wanted =
                its_progress.compare_exchange(HANDED_OVER, BEGUN, Ordering::AcqRel, Ordering::Acquire).is_ok();
            if !is_wanted {
                return;
            }
            // A panic drops the connection while this thread unwinds, which closes it.
            let outcome = contained(move || work(conn));
            pledge.keep(outcome.unwrap_or_else(O::panicked));
        }));
        Stage::Runs(answer, canceller.map(|canceller| Cancel { canceller, progress }))
    }
}

impl<M: Manager, O> Drop for RunAsync<M, O> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Waits(mut request, _) => request.abandon(self.pool.own_ref()),
            Stage::Runs(_, Some(Cancel { canceller, progress })) => {
                // Work that has not begun never begins.
                if progress.swap(DROPPED, Ordering::AcqRel) == BEGUN {
                    canceller.cancel_later(CANCEL_WITHIN);
                }
            }
            Stage::Runs(_, None) | Stage::Over => {}
        }
    }
}

/// The loan runs in the caller's span, including its end.
#[cfg(feature = "tracing")]
fn in_span<M: Manager, O>(work: impl FnOnce(&mut PooledConnection<M>) -> O + Send + 'static) -> Borrowing<M, O> {
    let span = tracing::Span::current();
    Box::new(move |mut conn| span.in_scope(move || work(&mut conn)))
}

#[cfg(not(feature = "tracing"))]
fn in_span<M: Manager, O>(work: impl FnOnce(&mut PooledConnection<M>) -> O + Send + 'static) -> Borrowing<M, O> {
    Box::new(move |mut conn| work(&mut conn))
}

impl<M: Manager, O> fmt::Debug for RunAsync<M, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunAsync").field("pool", &self.pool.config().name).finish_non_exhaustive()
    }
}

/// The time limit of a request to cancel.
const CANCEL_WITHIN: Duration = Duration::from_secs(5);
