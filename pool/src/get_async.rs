//! Check-out for tasks: the wait blocks no thread.

use crate::checkout::TaskRequest;
use crate::error::GetError;
use crate::guard::PooledConnection;
use crate::manager::Manager;
use crate::pool::Pool;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

impl<M: Manager> Pool<M> {
    /// Like [`get`](Self::get), for a task: the wait blocks no thread. Needs no runtime, and works with any.
    ///
    /// Tasks and threads share one queue, in order of arrival, and get the same errors. The pool enforces the time-out, which begins at
    /// the future's first poll. Dropping the future gives up its place in the queue.
    ///
    /// The connection itself blocks: use it where the runtime allows that, as in `spawn_blocking`. Do not hold it while the task awaits
    /// something else, because other waiters need it.
    ///
    /// A future that is not polled when its connection is ready loses it to the next waiter after
    /// [`reclaim_after`](crate::Builder::reclaim_after), 50 ms by default, and keeps its place. The next connection is reserved for it
    /// for twice as long, and so on, up to sixteen times the setting.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let mut conn = pool.get_async().await?; // Waits without a thread.
    /// let insert = move || conn.execute("INSERT INTO orders VALUES (7)"); // Blocks.
    /// assert_eq!(tokio::task::spawn_blocking(insert).await??, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`GetError`].
    #[track_caller]
    pub fn get_async(&self) -> GetAsync<'_, M> {
        self.get_async_at(self.config().acquire_timeout, Location::caller())
    }

    /// Like [`get_async`](Self::get_async), with its own time-out. Zero does not wait.
    ///
    /// # Errors
    ///
    /// See [`GetError`].
    #[track_caller]
    pub fn get_async_timeout(&self, timeout: Duration) -> GetAsync<'_, M> {
        self.get_async_at(timeout, Location::caller())
    }

    fn get_async_at(&self, timeout: Duration, call_site: &'static Location<'static>) -> GetAsync<'_, M> {
        GetAsync { pool: self, request: TaskRequest::new(timeout, call_site) }
    }
}

/// The future returned by [`Pool::get_async`] and [`Pool::get_async_timeout`].
#[must_use = "a future does nothing until it is polled"]
pub struct GetAsync<'p, M: Manager> {
    pool: &'p Pool<M>,
    request: TaskRequest,
}

impl<M: Manager> Future for GetAsync<'_, M> {
    type Output = Result<PooledConnection<M>, GetError<M::Error>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.request.poll(this.pool.own_ref(), context).map(|outcome| outcome.map(PooledConnection::new))
    }
}

impl<M: Manager> Drop for GetAsync<'_, M> {
    #[inline]
    fn drop(&mut self) {
        self.request.abandon(self.pool.own_ref());
    }
}

impl<M: Manager> fmt::Debug for GetAsync<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetAsync").field("pool", &self.pool.config().name).finish_non_exhaustive()
    }
}
