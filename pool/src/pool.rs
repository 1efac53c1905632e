//! The handle: everything a user asks of a pool.

use crate::checkout::{checkout, try_checkout};
use crate::config::Config;
use crate::error::GetError;
use crate::guard::PooledConnection;
use crate::health::Health;
use crate::manager::Manager;
use crate::report::Holder;
use crate::shared::{PoolRef, Shared};
use crate::stats::Stats;
use crate::sync;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A pool of connections. Cheap to clone; all clones are the same pool, which is closed when the last is dropped.
///
/// # When something is wrong
///
/// *Time-outs.* [`GetError::Timeout`] has the pool's numbers, who holds the connections and since when, and the last error on
/// connecting, which is its `source`: log it with `{error:?}`, or with `{error:#}` of an `anyhow::Error`. Many in use and one call site
/// that holds most of them: that code is slow or leaks. Few open and a recent connect error: look at the server. "This thread itself
/// seems to hold one": a function that holds a connection calls another that wants one; with `max_size` such threads at once nobody
/// can go on.
///
/// *The server is down.* One attempt to connect is made at a time, with growing, jittered pauses; the first success comes
/// within the largest pause plus one attempt after the server is back. Connections that died are found before a
/// borrower gets them.
///
/// *The password is wrong.* With no connection open, all borrowers fail at once with [`GetError::Connect`].
///
/// *Shutting down.* [`close_within`](Self::close_within) waits, then cancels, then aborts, and reports who was left.
///
/// # Threads
///
/// Driver calls, hooks and most events run in workers, which all pools of the process share: as many threads as there are such calls
/// under way, called `cabrank-worker`, and gone after ten seconds without work, or with the last pool. What nobody waits for uses
/// eight of them at a time for each pool: four say goodbye, and four open what `min_idle` lacks or check idle connections. A goodbye
/// that hangs beyond its limit where nothing can abort it gives its place to another. A hook may use another pool. `cabrank-timer`
/// keeps the limits; it runs nothing of the user's but what ends a call. It stays while a pool is open, because it must be there to try
/// again when no thread can be had.
///
/// After a `fork` a pool works in the process that built it alone. In the child it refuses with [`GetError::Forked`], looks closed and
/// empty, and can be dropped, as can its guards: nothing is done to the parent's sessions then, and their memory is not freed. A
/// guard that the child has must not be used: the session is the parent's. Build a pool in the child. Nothing here can help where a
/// hook or a manager's method forks.
///
/// # Fairness
///
/// Borrowers are served in order of arrival. A newcomer may overtake only while the first in the queue has waited no longer than
/// [`fairness_window`](crate::Builder::fairness_window), 1 ms by default.
pub struct Pool<M: Manager>(Arc<Handle<M>>);

/// Closes the pool when the last clone goes.
struct Handle<M: Manager> {
    /// One for each thread's cell. Empty only while the handle is dropped.
    refs: Box<[PoolRef<M>]>,
}

impl<M: Manager> Drop for Handle<M> {
    fn drop(&mut self) {
        let refs = std::mem::take(&mut self.refs);
        if !refs[0].is_at_home() {
            // What it has is the parent's: a destructor of the driver's would say goodbye on the parent's sockets.
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

    /// Checks out a connection, waiting for one for at most `acquire_timeout` (30 s unless set).
    ///
    /// Without contention this takes about a tenth of a microsecond, and no round trip unless the connection was
    /// last proved longer than `check_after` ago.
    ///
    /// If the time runs out while this process stands still (stopped, throttled, asleep), those who wait are given half of the time
    /// by which they are late, 20 to 250 ms, once: what they wait for may be there when the process goes on.
    ///
    /// # Errors
    ///
    /// See [`GetError`]. In an async context use `spawn_blocking`: this blocks the thread.
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

    /// As [`get`](Self::get), with a time-out of its own. Zero waits for nothing: only a fresh idle connection
    /// will do, as for [`try_get`](Self::try_get).
    ///
    /// # Errors
    ///
    /// See [`GetError`].
    #[track_caller]
    #[inline]
    pub fn get_timeout(&self, timeout: Duration) -> Result<PooledConnection<M>, GetError<M::Error>> {
        checkout(self.own_ref(), timeout, Location::caller()).map(PooledConnection::new)
    }

    /// Checks out an idle connection that was proved alive within `check_after`: the one that this thread had last, or else the one
    /// that was returned last. `Ok(None)`: nothing is
    /// ready, because all are lent, or none is open (the server may be away), or what is idle must be checked first. Then a check or a
    /// new connection is begun, if there may be one, and a later call may succeed. With a [`check_after`](crate::Builder::check_after) of
    /// zero it is always `None`. Never waits, so a hook of this pool may call it, too.
    ///
    /// ```
    /// # use cabrank::{Limit, Manager, Pool};
    /// # struct Toy;
    /// # impl Manager for Toy {
    /// #     type Connection = i64;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self, _: &Limit) -> std::io::Result<i64> { Ok(0) }
    /// #     fn is_valid(&self, _: &mut i64, _: &Limit) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut i64) -> bool { false }
    /// # }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().max_size(1).build(Toy)?;
    /// let conn = pool.try_get()?.expect("`build` has opened one");
    /// assert!(pool.try_get()?.is_none(), "it is lent");
    /// drop(conn);
    /// pool.close();
    /// assert!(pool.try_get().is_err_and(|error| error.is_closed()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When trying again at once will not help: [`GetError::Closed`], [`GetError::Connect`] and [`GetError::Forked`]. It makes no
    /// [`GetError::Timeout`].
    #[track_caller]
    #[inline]
    pub fn try_get(&self) -> Result<Option<PooledConnection<M>>, GetError<M::Error>> {
        try_checkout(self.own_ref(), Location::caller()).map(|held| held.map(PooledConnection::new))
    }

    /// A reference to this pool that does not keep it open. A hook, an event handler or a manager that held a [`Pool`] would keep its own
    /// pool open for ever; a thread that reports the pool's numbers would keep it open until it ends. Costs no lock.
    ///
    /// ```
    /// # use cabrank::{Limit, Manager, Pool};
    /// # struct Toy;
    /// # impl Manager for Toy {
    /// #     type Connection = i64;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self, _: &Limit) -> std::io::Result<i64> { Ok(0) }
    /// #     fn is_valid(&self, _: &mut i64, _: &Limit) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut i64) -> bool { false }
    /// # }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().build(Toy)?;
    /// let weak = pool.downgrade();
    /// assert!(weak.upgrade().is_some_and(|pool| pool.stats().open == 1));
    /// drop(pool);
    /// assert!(weak.upgrade().is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn downgrade(&self) -> WeakPool<M> {
        WeakPool(Arc::downgrade(&self.0))
    }

    /// The pool's numbers at this moment.
    #[doc(alias = "state")]
    #[doc(alias = "status")]
    pub fn stats(&self) -> Stats {
        self.shared().with(sync::now(), |state, _| state.stats())
    }

    /// Who holds a connection, the longest loan first.
    pub fn holders(&self) -> Vec<Holder> {
        let now = sync::now();
        self.shared().with(now, |state, _| state.holders(now))
    }

    /// How the pool fares, from what it has seen: no query, no wait. For the probes of a platform: see [`Health::is_ready`].
    ///
    /// ```
    /// # use cabrank::{Limit, Manager, Pool};
    /// # struct Toy;
    /// # impl Manager for Toy {
    /// #     type Connection = i64;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self, _: &Limit) -> std::io::Result<i64> { Ok(0) }
    /// #     fn is_valid(&self, _: &mut i64, _: &Limit) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut i64) -> bool { false }
    /// # }
    /// let pool = Pool::builder().build(Toy)?;
    /// assert!(pool.health().is_ready());
    /// pool.close();
    /// assert_eq!(pool.health().to_string(), "closed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn health(&self) -> Health {
        let now = sync::now();
        self.shared().with(now, |state, _| state.health(now)).told()
    }

    /// The settings this pool was built with. [`resize`](Self::resize) does not change them; the present `max_size` and `min_idle`
    /// are in [`stats`](Self::stats).
    pub fn config(&self) -> &Config {
        &self.shared().config
    }

    /// Closes all connections that are open now: idle ones at once, lent ones when they come back. For new credentials, a
    /// failover, a schema change. After a permanent fault, such as a wrong password, the next attempt to connect is made
    /// at once: call it when something was mended, not for each error, or a server may lock the account. The first new connection
    /// is opened alone, the others when it was found well.
    #[doc(alias = "softEvictConnections")]
    #[doc(alias = "reset")]
    pub fn evict_all(&self) {
        let now = sync::now();
        self.shared().with(now, |state, actions| state.evict_all(now, actions));
    }

    /// Refuses new loans, wakes all who wait with [`GetError::Closed`], and closes idle connections. Waits for nobody:
    /// lent ones are closed when they come back. Closing twice does nothing.
    pub fn close(&self) {
        self.shared().close();
    }

    /// Is the pool closed?
    pub fn is_closed(&self) -> bool {
        self.shared().with(sync::now(), |state, _| state.is_closed())
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

/// A [`Pool`] that may be gone. See [`Pool::downgrade`].
pub struct WeakPool<M: Manager>(Weak<Handle<M>>);

impl<M: Manager> WeakPool<M> {
    /// The pool, unless its last handle was dropped: then it is closed for good.
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
