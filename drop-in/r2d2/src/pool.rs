//! The pool, with r2d2's names.

use crate::adapted::{Adapted, Shared};
use crate::builder::Builder;
use crate::config::Config;
use crate::error::Error;
use crate::event::{CheckoutEvent, TimeoutEvent};
use crate::guard::PooledConnection;
use crate::manage::ManageConnection;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A pool of connections. Cheap to clone; all clones are the same pool.
///
/// ```
/// use r2d2::Pool;
/// # struct Numbers;
/// # impl r2d2::ManageConnection for Numbers {
/// #     type Connection = u32;
/// #     type Error = std::io::Error;
/// #     fn connect(&self) -> Result<u32, std::io::Error> { Ok(7) }
/// #     fn is_valid(&self, _: &mut u32) -> Result<(), std::io::Error> { Ok(()) }
/// #     fn has_broken(&self, _: &mut u32) -> bool { false }
/// # }
///
/// let pool = Pool::builder().max_size(2).build(Numbers)?;
/// let conn = pool.get()?;
/// assert_eq!(*conn, 7);
/// assert_eq!(pool.state().connections, 2);
/// drop(conn); // returns it
/// # Ok::<(), r2d2::Error>(())
/// ```
pub struct Pool<M: ManageConnection> {
    pool: cabrank::Pool<Adapted<M>>,
    shared: Arc<Shared<M>>,
}

impl<M: ManageConnection> Pool<M> {
    /// Builds a pool with default settings.
    ///
    /// # Errors
    ///
    /// See [`Builder::build`].
    pub fn new(manager: M) -> Result<Self, Error> {
        Self::builder().build(manager)
    }

    /// Returns a builder with the default settings.
    pub fn builder() -> Builder<M> {
        Builder::new()
    }

    pub(crate) fn of(pool: cabrank::Pool<Adapted<M>>, shared: Arc<Shared<M>>) -> Self {
        Self { pool, shared }
    }

    /// Checks out a connection. Waits for at most [`connection_timeout`](Builder::connection_timeout).
    ///
    /// # Errors
    ///
    /// If none is available in time. The text names the code that holds the connections, and the reason if none can be opened.
    #[track_caller]
    pub fn get(&self) -> Result<PooledConnection<M>, Error> {
        self.get_timeout(self.connection_timeout())
    }

    /// Like [`get`](Self::get), with a separate time-out.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    #[track_caller]
    pub fn get_timeout(&self, timeout: Duration) -> Result<PooledConnection<M>, Error> {
        let start = self.clock();
        let error = match self.pool.get_timeout(timeout) {
            Ok(guard) => return Ok(self.lend(guard, start)),
            Err(error) => error,
        };
        if let Some(events) = &self.config().event_handler {
            events.handle_timeout(TimeoutEvent { timeout });
        }
        Err(Error::new(&error))
    }

    /// Checks out an idle connection. `None` if there is none. Waits only for the check of a connection that has been idle for long.
    #[track_caller]
    pub fn try_get(&self) -> Option<PooledConnection<M>> {
        let start = self.clock();
        let guard = match self.pool.try_get().ok()? {
            Some(guard) => guard,
            None if self.has_one_in_doubt() => self.pool.get_timeout(self.pool.config().check_timeout).ok()?,
            None => return None,
        };
        Some(self.lend(guard, start))
    }

    /// Whether there is a connection that must be checked before it can be lent, while no request waits for it.
    fn has_one_in_doubt(&self) -> bool {
        let stats = self.pool.stats();
        stats.idle + stats.checking > 0 && stats.waiting == 0
    }

    /// The time, if there is an event handler.
    fn clock(&self) -> Option<Instant> {
        self.config().event_handler.as_ref().map(|_| Instant::now())
    }

    fn lend(&self, guard: cabrank::PooledConnection<Adapted<M>>, start: Option<Instant>) -> PooledConnection<M> {
        // Each loan counts as one that used its connection: the manager is asked at its end, as in r2d2.
        let id = guard.id;
        let since = self.clock();
        if let (Some(events), Some(start), Some(since)) = (&self.config().event_handler, start, since) {
            events.handle_checkout(CheckoutEvent { id, duration: since.duration_since(start) });
        }
        PooledConnection::new(guard, since)
    }

    /// Returns the pool's numbers at this moment.
    pub fn state(&self) -> State {
        let stats = self.pool.stats();
        State { connections: stats.open, idle_connections: stats.idle }
    }

    /// Returns the underlying pool, for what r2d2 does not have: `stats`, `holders`, `close_within`, `evict_all`, `resize` and more.
    pub fn cabrank(&self) -> &cabrank::Pool<Adapted<M>> {
        &self.pool
    }

    /// The maximum number of connections, as set here, by [`Builder::cabrank`], or later by `resize`.
    pub fn max_size(&self) -> u32 {
        self.pool.stats().max_size
    }

    /// The number of idle connections to keep ready, as set.
    pub fn min_idle(&self) -> Option<u32> {
        self.config().min_idle
    }

    /// Whether connections are checked, as set.
    pub fn test_on_check_out(&self) -> bool {
        self.config().test_on_check_out
    }

    /// The maximum age of a connection, as set.
    pub fn max_lifetime(&self) -> Option<Duration> {
        self.config().max_lifetime
    }

    /// The maximum idle time of a connection, as set.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.config().idle_timeout
    }

    /// How long [`get`](Self::get) waits, as set here or, as `acquire_timeout`, by [`Builder::cabrank`].
    pub fn connection_timeout(&self) -> Duration {
        self.pool.config().acquire_timeout
    }

    fn config(&self) -> &Config<M::Connection, M::Error> {
        &self.shared.config
    }
}

impl<M: ManageConnection> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<M: ManageConnection + fmt::Debug> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("state", &self.state())
            .field("config", self.config())
            .field("manager", &self.shared.manager)
            .finish()
    }
}

/// The numbers of a pool at one moment.
#[non_exhaustive]
pub struct State {
    /// Connections that are open: lent, idle, or being checked.
    pub connections: u32,
    /// Those that are idle.
    pub idle_connections: u32,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("connections", &self.connections)
            .field("idle_connections", &self.idle_connections)
            .finish()
    }
}
