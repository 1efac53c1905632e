//! The handle of a pool, and checking out. Its other methods are in the modules that `lib.rs` lists first.

use crate::checkout::{checkout, try_checkout};
use crate::error::GetError;
use crate::guard::PooledConnection;
use crate::manager::Manager;
use crate::shared::{PoolRef, Shared};
use crate::sync;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A connection pool. Clones are cheap and share one pool, which closes when the last clone is dropped.
///
/// # Troubleshooting
///
/// *Time-outs.* [`GetError::Timeout`] contains the pool's statistics, the holders of its connections, and, as its `source`, the last
/// connect error. Log it with `{error:?}`, or with `{error:#}` of an `anyhow::Error`. If one call site holds most of the connections in
/// use, that code is slow or leaks. If few are open and there is a recent connect error, look at the server. "This thread itself seems to
/// hold one": a function that holds a connection calls another that checks one out; `max_size` such threads deadlock.
///
/// *The server is down.* The pool makes one connection attempt at a time, with growing, jittered pauses. The first success comes within
/// the largest pause plus one attempt after the server is back. While nothing is open, attempts continue without callers. The pool
/// detects dead connections before it hands them out.
///
/// *The password is wrong.* With no connection open, all callers fail at once with [`GetError::Connect`].
///
/// *Shutting down.* [`close_within`](Self::close_within) waits, then cancels, then aborts, and reports the remaining holders.
///
/// # Threads
///
/// Your own statements run in your threads. The pool's own driver calls, most hooks and most events run in worker threads, called
/// `cabrank-worker`, which all pools of the process share. There are as many workers as such calls under way; a worker exits after ten
/// seconds without work, or with the last pool. Background work uses at most eight at a time for each pool: four close connections, and
/// four open connections for `min_idle` or check idle ones. An orderly close that exceeds its limit and cannot be aborted gives its place
/// to another. A hook may use another pool.
///
/// The thread `cabrank-timer` enforces the time limits; the only user code that it runs aborts a call. It lives as long as any
/// pool is open, to retry when no thread can be spawned.
///
/// After a `fork` a pool works only in the process that built it. In the child it refuses with [`GetError::Forked`] and looks closed and
/// empty. The child may drop it and its guards: that does not touch the parent's sessions, and frees no memory. It must not use a guard,
/// because the session is the parent's. Build a new pool in the child. Forking within a hook or a manager's method is not supported.
///
/// # Fairness
///
/// Callers are served in order of arrival. A newcomer may overtake only while the first waiter in the queue has waited no longer than
/// [`fairness_window`](crate::Builder::fairness_window), 1 ms by default.
pub struct Pool<M: Manager>(Arc<Handle<M>>);

/// Closes the pool when the last clone is dropped.
struct Handle<M: Manager> {
    /// One per cell; a thread uses the one of its own cell. Empty only during drop.
    refs: Box<[PoolRef<M>]>,
}

impl<M: Manager> Drop for Handle<M> {
    fn drop(&mut self) {
        let refs = std::mem::take(&mut self.refs);
        if !refs[0].is_at_home() {
            // The connections belong to the parent: the driver's destructor would send a goodbye on the parent's sockets.
            return std::mem::forget(refs);
        }
        refs[0].close();
        refs.into_iter().for_each(PoolRef::leave_to_worker);
    }
}

impl<M: Manager> Pool<M> {
    pub(crate) fn new(shared: Arc<Shared<M>>) -> Self {
        let refs = (0..shared.caches.count()).map(|_| PoolRef::new(Arc::clone(&shared))).collect();
        Self(Arc::new(Handle { refs }))
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Arc<Shared<M>> {
        &self.0.refs[0]
    }

    /// The reference whose count this thread changes.
    #[inline]
    pub(crate) fn own_ref(&self) -> &PoolRef<M> {
        let refs = &self.0.refs;
        &refs[sync::seat() & (refs.len() - 1)]
    }

    /// Checks out a connection, waiting for one for at most `acquire_timeout` (30 s by default). Blocks the thread: in a task use
    /// [`get_async`](Self::get_async) or [`run_async`](Self::run_async).
    ///
    /// Without contention this takes about a tenth of a microsecond. It costs a round trip only if the connection was last proved alive
    /// longer than `check_after` ago.
    ///
    /// If the deadline passes while this process is suspended (stopped, throttled, asleep), the request waits once more, for half of the
    /// time by which it is late, 20 to 250 ms.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// let mut conn = pool.get()?;
    /// conn.execute("INSERT INTO orders VALUES (7)")?; // The driver's own method.
    /// assert_eq!(pool.stats().in_use, 1);
    /// drop(conn); // Returns the connection.
    /// assert_eq!(pool.stats().in_use, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`GetError`].
    #[doc(alias = "acquire")]
    #[doc(alias = "checkout")]
    #[track_caller]
    #[inline]
    pub fn get(&self) -> Result<PooledConnection<M>, GetError<M::Error>> {
        self.get_at(Location::caller())
    }

    #[inline]
    pub(crate) fn get_at(
        &self,
        call_site: &'static Location<'static>,
    ) -> Result<PooledConnection<M>, GetError<M::Error>> {
        let pool = self.own_ref();
        checkout(pool, pool.config.acquire_timeout, call_site).map(PooledConnection::new)
    }

    /// Checks out an idle connection that was proved alive within `check_after`: the one that this thread used last, or else the most
    /// recently returned one. Never waits, so a hook of this pool may call it, too.
    ///
    /// Returns `Ok(None)` if no connection is ready: all are lent, none is open (the server may be down), or the idle ones must be
    /// checked first. The pool then starts a check or a new connection if its limits allow one, and a later call may succeed. With a
    /// [`check_after`](crate::Builder::check_after) of zero the result is always `None`.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let manager = Toy;
    /// let pool = Pool::builder().max_size(1).build(manager)?;
    /// let conn = pool.try_get()?.expect("`build` has opened one");
    /// assert!(pool.try_get()?.is_none(), "it is lent");
    /// drop(conn);
    /// pool.close();
    /// assert!(pool.try_get().is_err_and(|error| error.is_closed()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Only errors that an immediate retry cannot fix: [`GetError::Closed`], [`GetError::Connect`] and [`GetError::Forked`], never
    /// [`GetError::Timeout`].
    #[track_caller]
    #[inline]
    pub fn try_get(&self) -> Result<Option<PooledConnection<M>>, GetError<M::Error>> {
        try_checkout(self.own_ref(), Location::caller()).map(|held| held.map(PooledConnection::new))
    }

    /// Like [`get`](Self::get), with its own time-out. Zero does not wait: only a recently checked idle connection will do, as for
    /// [`try_get`](Self::try_get).
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let manager = Toy;
    /// use std::time::Duration;
    ///
    /// let pool = Pool::builder().max_size(1).build(manager)?;
    /// let conn = pool.get()?;
    /// let error = pool.get_timeout(Duration::from_millis(20)).expect_err("the only connection is lent");
    /// assert!(error.is_timeout());
    /// assert_eq!(error.report().map(|report| report.holders.len()), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`GetError`].
    #[track_caller]
    #[inline]
    pub fn get_timeout(&self, timeout: Duration) -> Result<PooledConnection<M>, GetError<M::Error>> {
        checkout(self.own_ref(), timeout, Location::caller()).map(PooledConnection::new)
    }
}

impl<M: Manager> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Manager> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.stats();
        f.debug_struct("Pool")
            .field("name", &self.config().name)
            .field("max_size", &stats.max_size)
            .field("open", &stats.open)
            .field("in_use", &stats.in_use)
            .field("waiting", &stats.waiting)
            .finish_non_exhaustive()
    }
}

/// A weak reference to a [`Pool`]. See [`Pool::downgrade`].
pub struct WeakPool<M: Manager>(Weak<Handle<M>>);

impl<M: Manager> WeakPool<M> {
    pub(crate) fn of(pool: &Pool<M>) -> Self {
        Self(Arc::downgrade(&pool.0))
    }

    /// Returns the pool, or `None` once its last handle was dropped, which closes it for good.
    pub fn upgrade(&self) -> Option<Pool<M>> {
        self.0.upgrade().map(Pool)
    }
}

impl<M: Manager> Clone for WeakPool<M> {
    fn clone(&self) -> Self {
        Self(Weak::clone(&self.0))
    }
}

impl<M: Manager> fmt::Debug for WeakPool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakPool").field(&self.upgrade()).finish()
    }
}
