//! The builder of pools, with r2d2's settings.

use crate::adapted::{Adapted, Shared};
use crate::config::{Cleaner, Config};
use crate::error::Error;
use crate::event::HandleEvent;
use crate::manage::{CustomizeConnection, HandleError, LoggingErrorHandler, ManageConnection, NopConnectionCustomizer};
use crate::pool::Pool;
use cabrank::SessionState;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Builds a [`Pool`]. Every setting has r2d2's default.
///
/// ```
/// use r2d2::Pool;
/// use std::time::Duration;
/// # struct Numbers;
/// # impl r2d2::ManageConnection for Numbers {
/// #     type Connection = u32;
/// #     type Error = std::io::Error;
/// #     fn connect(&self) -> Result<u32, std::io::Error> { Ok(7) }
/// #     fn is_valid(&self, _: &mut u32) -> Result<(), std::io::Error> { Ok(()) }
/// #     fn has_broken(&self, _: &mut u32) -> bool { false }
/// # }
///
/// let pool = Pool::builder()
///     .max_size(4)
///     .min_idle(Some(1))
///     .connection_timeout(Duration::from_secs(5))
///     .cabrank(|settings| settings.name("numbers").leak_after(Duration::from_secs(60)))
///     .build(Numbers)?;
/// assert_eq!(pool.max_size(), 4);
/// # Ok::<(), r2d2::Error>(())
/// ```
pub struct Builder<M: ManageConnection> {
    config: Config<M::Connection, M::Error>,
    adjust: Option<Adjust<M>>,
}

type Settings<M> = cabrank::Builder<Adapted<M>>;
type Adjust<M> = Box<dyn FnOnce(Settings<M>) -> Settings<M> + Send + Sync>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<M: ManageConnection> Builder<M> {
    /// Creates a builder with the default settings.
    pub fn new() -> Self {
        let config = Config {
            max_size: 10,
            min_idle: None,
            test_on_check_out: true,
            max_lifetime: Some(Duration::from_secs(30 * 60)),
            idle_timeout: Some(Duration::from_secs(10 * 60)),
            connection_timeout: Duration::from_secs(30),
            error_handler: Box::new(LoggingErrorHandler),
            event_handler: None,
            connection_customizer: Box::new(NopConnectionCustomizer),
            cleaner: None,
        };
        Self { config, adjust: None }
    }

    /// The maximum number of connections. Default: 10.
    ///
    /// # Panics
    ///
    /// If it is zero.
    pub fn max_size(mut self, max_size: u32) -> Self {
        assert!(max_size > 0, "max_size must be at least 1");
        self.config.max_size = max_size;
        self
    }

    /// The number of idle connections to keep ready. Default: `None`, which means [`max_size`](Self::max_size), the largest value
    /// allowed.
    pub fn min_idle(mut self, min_idle: Option<u32>) -> Self {
        self.config.min_idle = min_idle;
        self
    }

    /// Ignored: all pools of a process share their workers. `T` is the thread pool of the crate `scheduled-thread-pool`.
    pub fn thread_pool<T>(self, thread_pool: Arc<T>) -> Self {
        drop(thread_pool);
        self
    }

    /// Whether a connection is checked by [`is_valid`](ManageConnection::is_valid) before a loan if its last check is older than one
    /// second. Default: yes. To check before each loan: [`cabrank(|settings| settings.check_after(Duration::ZERO))`](Self::cabrank).
    pub fn test_on_check_out(mut self, test_on_check_out: bool) -> Self {
        self.config.test_on_check_out = test_on_check_out;
        self
    }

    /// The maximum age of a connection, randomly shortened by up to a tenth. Default: 30 minutes. `None`: no limit. Values below 10 ms
    /// count as 10 ms.
    ///
    /// # Panics
    ///
    /// If it is zero.
    pub fn max_lifetime(mut self, max_lifetime: Option<Duration>) -> Self {
        assert_ne!(max_lifetime, Some(Duration::ZERO), "max_lifetime must be longer than zero");
        self.config.max_lifetime = max_lifetime;
        self
    }

    /// The maximum time for which a connection may stay idle. Default: 10 minutes. `None`: no limit. Values below 10 ms count as 10 ms.
    ///
    /// # Panics
    ///
    /// If it is zero.
    pub fn idle_timeout(mut self, idle_timeout: Option<Duration>) -> Self {
        assert_ne!(idle_timeout, Some(Duration::ZERO), "idle_timeout must be longer than zero");
        self.config.idle_timeout = idle_timeout;
        self
    }

    /// How long [`Pool::get`] waits for a connection, and [`build`](Self::build) for the first ones. Default: 30 s. One attempt to
    /// connect has the same limit, but at least 10 s.
    ///
    /// # Panics
    ///
    /// If it is zero.
    pub fn connection_timeout(mut self, connection_timeout: Duration) -> Self {
        assert!(!connection_timeout.is_zero(), "connection_timeout must be longer than zero");
        self.config.connection_timeout = connection_timeout;
        self
    }

    /// Receives the manager's errors. Default: [`LoggingErrorHandler`].
    pub fn error_handler(mut self, error_handler: Box<dyn HandleError<M::Error>>) -> Self {
        self.config.error_handler = error_handler;
        self
    }

    /// Receives the pool's events. Default: [`NopEventHandler`](crate::NopEventHandler).
    pub fn event_handler(mut self, event_handler: Box<dyn HandleEvent>) -> Self {
        self.config.event_handler = Some(event_handler);
        self
    }

    /// Sets up new connections. Default: [`NopConnectionCustomizer`].
    pub fn connection_customizer(
        mut self,
        connection_customizer: Box<dyn CustomizeConnection<M::Connection, M::Error>>,
    ) -> Self {
        self.config.connection_customizer = connection_customizer;
        self
    }

    /// Cleans sessions between two holders. Not in r2d2, which lends a session again as its last holder left it.
    ///
    /// `look` is called in the returning thread and must not block. After [`SessionState::Clean`] the pool calls
    /// [`has_broken`](ManageConnection::has_broken), after `Unknown` or `InTransaction` `clean`. That runs in a worker thread and may
    /// query the server; an error closes the connection. The crate `cabrank-r2d2` has both functions for Diesel, `postgres` and
    /// `mysql`.
    ///
    /// ```
    /// use cabrank::SessionState;
    /// use r2d2::Pool;
    /// # struct Lists;
    /// # impl r2d2::ManageConnection for Lists {
    /// #     type Connection = Vec<u32>;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self) -> Result<Vec<u32>, std::io::Error> { Ok(Vec::new()) }
    /// #     fn is_valid(&self, _: &mut Vec<u32>) -> Result<(), std::io::Error> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut Vec<u32>) -> bool { false }
    /// # }
    ///
    /// let builder = Pool::<Lists>::builder().max_size(1).clean(
    ///     |list| if list.is_empty() { SessionState::Clean } else { SessionState::Unknown },
    ///     |list| {
    ///         list.clear();
    ///         Ok(())
    ///     },
    /// );
    /// let pool = builder.build(Lists)?;
    /// pool.get()?.push(7);
    /// assert!(pool.get()?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clean(
        mut self,
        look: impl Fn(&mut M::Connection) -> SessionState + Send + Sync + 'static,
        clean: impl Fn(&mut M::Connection) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.config.cleaner = Some(Cleaner { look: Box::new(look), clean: Box::new(clean) });
        self
    }

    /// Changes settings of the underlying pool that r2d2 does not have, such as its name, `leak_after` or `max_waiters`. Not in r2d2.
    pub fn cabrank(mut self, adjust: impl FnOnce(Settings<M>) -> Settings<M> + Send + Sync + 'static) -> Self {
        self.adjust = Some(Box::new(adjust));
        self
    }

    /// Builds the pool and waits until [`min_idle`](Self::min_idle) connections are open.
    ///
    /// # Errors
    ///
    /// If they are not open within [`connection_timeout`](Self::connection_timeout).
    ///
    /// # Panics
    ///
    /// As [`build_unchecked`](Self::build_unchecked).
    pub fn build(self, manager: M) -> Result<Pool<M>, Error> {
        if self.config.ready() == 0 {
            return Ok(self.build_unchecked(manager));
        }
        let (settings, shared) = self.settings(manager);
        match settings.build(Adapted(Arc::clone(&shared))) {
            Ok(pool) => Ok(Pool::of(pool, shared)),
            Err(cabrank::BuildError::Config(error)) => panic!("{error}"),
            Err(error) => Err(Error::new(&error)),
        }
    }

    /// Builds the pool without waiting.
    ///
    /// # Panics
    ///
    /// If [`min_idle`](Self::min_idle) is larger than [`max_size`](Self::max_size), or a setting made by [`cabrank`](Self::cabrank) is
    /// invalid.
    pub fn build_unchecked(self, manager: M) -> Pool<M> {
        let (settings, shared) = self.settings(manager);
        let pool = settings.build_lazy(Adapted(Arc::clone(&shared))).unwrap_or_else(|error| panic!("{error}"));
        Pool::of(pool, shared)
    }

    fn settings(self, manager: M) -> (Settings<M>, Arc<Shared<M>>) {
        let Self { config, adjust } = self;
        let settings = cabrank::Pool::builder()
            .name("r2d2")
            .max_size(config.max_size)
            .min_idle(config.ready())
            .acquire_timeout(config.connection_timeout)
            .build_timeout(config.connection_timeout)
            .connect_timeout(config.connection_timeout.max(SHORTEST_ATTEMPT))
            .intended()
            .check_after(if config.test_on_check_out { CHECK_AFTER } else { Duration::MAX })
            .max_lifetime(span(config.max_lifetime))
            .idle_timeout(span(config.idle_timeout));
        let settings = match adjust {
            Some(adjust) => adjust(settings),
            None => settings,
        };
        (settings, Arc::new(Shared { manager, config }))
    }
}

/// Converts a span to `cabrank`'s form.
fn span(set: Option<Duration>) -> Duration {
    set.map_or(Duration::MAX, |set| set.max(SHORTEST_SPAN))
}

impl<M: ManageConnection> Default for Builder<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: ManageConnection> fmt::Debug for Builder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A time-out for waiting does not indicate the duration of a log-in.
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(10);
const CHECK_AFTER: Duration = Duration::from_secs(1);
const SHORTEST_SPAN: Duration = Duration::from_millis(10);
