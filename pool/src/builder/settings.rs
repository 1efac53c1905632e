//! The settings of a new pool, and their defaults.

use super::Builder;
use crate::config::SessionPolicy;
use crate::manager::Manager;
#[cfg(doc)]
use crate::pool::Pool;
use std::time::Duration;

impl<M: Manager> Builder<M> {
    /// The pool's name, in errors, events and metrics, and for the server. Default: `"cabrank"`, or the
    /// [manager's](Manager::default_name) if it has one: those for PostgreSQL, MySQL and SQLite use the database's address without a user
    /// or a password, such as `"db.example:5432/shop"`. If another pool of this process has that name, a number is added:
    /// `"db.example:5432/shop#2"`. A name that is set here, and `"cabrank"`, is never changed.
    ///
    /// ```
    /// # use cabrank::{Limit, Manager, Pool};
    /// struct Toy;
    ///
    /// impl Manager for Toy {
    /// #     type Connection = i64;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self, _: &Limit) -> std::io::Result<i64> { Ok(0) }
    /// #     fn is_valid(&self, _: &mut i64, _: &Limit) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut i64) -> bool { false }
    ///     // ..
    ///     fn default_name(&self) -> Option<String> {
    ///         Some("db.example:5432/shop".to_owned())
    ///     }
    /// }
    ///
    /// let (one, other) = (Pool::builder().build(Toy)?, Pool::builder().build(Toy)?);
    /// assert_eq!(one.config().name, "db.example:5432/shop");
    /// assert_eq!(other.config().name, "db.example:5432/shop#2");
    /// let reports = Pool::builder().name("reports").build(Toy)?;
    /// assert_eq!(reports.config().name, "reports");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        (self.config.name, self.is_named) = (name.into(), true);
        self
    }

    /// The maximum number of connections, including those being opened and closed. Default: 10. At least 1.
    #[doc(alias = "max_connections")]
    #[doc(alias = "maximumPoolSize")]
    pub fn max_size(mut self, max_size: u32) -> Self {
        self.config.max_size = max_size;
        self
    }

    /// The number of idle connections that the pool keeps ready. Default: 0 (r2d2's is `max_size`). At most `max_size`. The pool opens
    /// one first, then at most four at a time.
    #[doc(alias = "min_connections")]
    #[doc(alias = "minimumIdle")]
    pub fn min_idle(mut self, min_idle: u32) -> Self {
        self.config.min_idle = min_idle;
        self
    }

    /// How long [`Pool::get`] waits for a connection. Default: 30 s.
    #[doc(alias = "connection_timeout")]
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.config.acquire_timeout = timeout;
        self
    }

    /// The time limit of one connection attempt, including session set-up. Default: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// For a layer that has chosen settings itself: the warnings about them are not logged, unless its user changes them.
    /// [`Config::warnings`](crate::Config::warnings) still has them.
    #[doc(hidden)]
    pub fn intended(mut self) -> Self {
        self.intended = self.config.warnings();
        self
    }

    /// How long [`build`](Self::build) keeps trying while the server is unavailable. Default: the
    /// [`connect_timeout`](Self::connect_timeout), which bounds each attempt. [`build_lazy`](Self::build_lazy) does not wait.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Away;
    /// use cabrank::BuildError;
    /// use std::time::{Duration, Instant};
    ///
    /// # let manager = Away;
    /// // The server is down, and a deployment should fail soon, though a single attempt may take longer.
    /// let began = Instant::now();
    /// let settings = Pool::builder().connect_timeout(Duration::from_secs(10)).build_timeout(Duration::from_millis(100));
    /// assert!(matches!(settings.build(manager), Err(BuildError::Connect(_))));
    /// assert!(began.elapsed() < Duration::from_secs(10));
    /// ```
    #[doc(alias = "initializationFailTimeout")]
    pub fn build_timeout(mut self, timeout: Duration) -> Self {
        self.config.build_timeout = Some(timeout);
        self
    }

    /// The time limit of a check. Default: 1 s. A slow check does not hold up its caller: after twice the longest recent check (at least
    /// 25 ms) the pool also checks the next idle connection, and later (at least 250 ms) opens a new one. At any steady round trip below
    /// this limit no healthy session is closed.
    #[doc(alias = "validationTimeout")]
    pub fn check_timeout(mut self, timeout: Duration) -> Self {
        self.config.check_timeout = timeout;
        self
    }

    /// The time limit of a reset. Default: 5 s.
    pub fn reset_timeout(mut self, timeout: Duration) -> Self {
        self.config.reset_timeout = timeout;
        self
    }

    /// The time limit of an orderly close. Default: 5 s. No caller waits for it: if a caller needs the slot, the close gets as long as a
    /// check and is then aborted.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.config.close_timeout = timeout;
        self
    }

    /// A connection last proved alive longer ago than this is checked before its next loan. Default: 1 s.
    ///
    /// Zero checks at each check-out, and then [`Pool::try_get`] never finds a connection. `Duration::MAX` checks only suspect
    /// connections.
    #[doc(alias = "test_on_check_out")]
    #[doc(alias = "test_before_acquire")]
    pub fn check_after(mut self, age: Duration) -> Self {
        self.config.check_after = age;
        self
    }

    /// The maximum age of a connection, at least 10 ms. Default: 30 min, less the jitter; no limit for an engine in this process. The
    /// pool applies it at check-out, at return and in the background, never during a loan.
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.config.max_lifetime = lifetime;
        self
    }

    /// The maximum fraction by which each connection's lifetime is randomly shortened, so connections opened together expire apart.
    /// Default: 0.1. From 0 to less than 1.
    pub fn lifetime_jitter(mut self, share: f64) -> Self {
        self.config.lifetime_jitter = share;
        self
    }

    /// How long a connection may be idle. Default: 10 min; no limit for an engine in this process. Never shrinks the pool below
    /// `min_idle`.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.config.idle_timeout = timeout;
        self
    }

    /// The interval of background checks of an idle connection, for firewalls that drop silent connections. Default: off
    /// (`Duration::MAX`). The checks are spread over the interval, and at least half of the idle connections stay available.
    #[doc(alias = "keepaliveTime")]
    pub fn keepalive(mut self, period: Duration) -> Self {
        self.config.keepalive = period;
        self
    }

    /// The maximum number of waiters; one more gets [`GetError::Overloaded`](crate::GetError::Overloaded) at once. Default: no limit.
    pub fn max_waiters(mut self, most: u32) -> Self {
        self.config.max_waiters = Some(most);
        self
    }

    /// How long a newcomer may still overtake the first waiter in the queue. Default: 1 ms. Zero means strict order of arrival, which
    /// costs a thread switch for each contended loan.
    pub fn fairness_window(mut self, window: Duration) -> Self {
        self.config.fairness_window = window;
        self
    }

    /// How long a connection stays reserved for a future of [`Pool::get_async`] that is not polled. Default: 50 ms. Then the next waiter
    /// gets it, and the future keeps its place. Each time that the future is late doubles its next reservation, up to sixteen times the
    /// setting.
    ///
    /// A waiting future may go unpolled: in a `select!` whose other branch runs, or in a set of futures while the loop's body waits.
    /// Without this limit it would hold up a connection, and could even wait for one that it holds itself.
    pub fn reclaim_after(mut self, span: Duration) -> Self {
        self.config.reclaim_after = span;
        self
    }

    /// The first and the largest pause between two connection attempts in an outage. Default: 50 and 500 ms. Pauses double and are fully
    /// jittered, but are never below 10 ms; after 30 s of outage the largest is at least 5 s.
    pub fn backoff(mut self, first: Duration, largest: Duration) -> Self {
        self.config.backoff = (first, largest);
        self
    }

    /// A loan longer than this is reported once, with its call site. Default: off (`Duration::MAX`).
    #[doc(alias = "leakDetectionThreshold")]
    pub fn leak_after(mut self, age: Duration) -> Self {
        self.config.leak_after = age;
        self
    }

    /// When a returned session is reset. Default: [`SessionPolicy::Tracked`].
    #[doc(alias = "reset_connection")]
    pub fn session_policy(mut self, policy: SessionPolicy) -> Self {
        self.config.session_policy = policy;
        self
    }
}
