//! User code in a pool: when each hook runs, and what it may decide.

use crate::builder::Builder;
use crate::event::EventHandler;
use crate::manager::{Fault, Manager};
#[cfg(doc)]
use crate::pool::Pool;
use crate::shared::{Loan, SetUp, Verdict};
use crate::spawn::Spawn;
use std::sync::Arc;

impl<M: Manager> Builder<M> {
    /// Sets up each session. Runs in a worker thread after a connection is opened, and again after each reset, within the time limit of
    /// that call (`connect_timeout` or `reset_timeout`). Its round trips are part of that call, and delay no caller of another
    /// connection. Default: none. A later `on_open` replaces an earlier one.
    ///
    /// An error fails the call: after opening by its [`Fault`](crate::Fault); after a reset the connection is closed. An error that
    /// leaves the session sound ([`Fault::Statement`](crate::Fault::Statement)), such as a typo, would recur in the next session, so
    /// after opening it is a permanent fault. A transaction that is left open is one, too, because the writes of later holders would be
    /// lost: commit it here, or begin it in the loan.
    ///
    /// A panic fails [`build`](Self::build) at once. A running pool retries, with the pauses of an outage, since the panic may not recur;
    /// a request that times out meanwhile has the panic's message as its `source`.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let manager = Toy;
    /// let settings = Pool::<Toy>::builder().on_open(|conn, set_up| {
    ///     if set_up.is_first() {
    ///         // A reset keeps this, so once is enough.
    ///         conn.execute("SET search_path = shop")?;
    ///     }
    ///     Ok(())
    /// });
    /// let pool = settings.build(manager)?;
    /// assert_eq!(pool.get()?.log, ["SET search_path = shop"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "CustomizeConnection")]
    #[doc(alias = "connection_customizer")]
    #[doc(alias = "after_connect")]
    #[doc(alias = "on_acquire")]
    pub fn on_open(
        mut self,
        set_up: impl Fn(&mut M::Connection, &SetUp<'_>) -> Result<(), M::Error> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.on_open = Some(Box::new(set_up));
        self
    }

    /// Judges each connection before its loan begins, in the caller's thread. [`Verdict::Close`] closes the connection, and the request
    /// goes on with the next, with the same deadline and place in the queue. Default: none, at no cost. A later `on_checkout` replaces an
    /// earlier one.
    ///
    /// The hook runs for connections that the pool considers healthy, after the pool's own check and before the event `checked_out`,
    /// outside the lock: once in each [`get`](Pool::get), [`try_get`](Pool::try_get), [`run`](Pool::run) and transaction that is served,
    /// and once for each connection that it refuses. It delays every loan, so it must not query the server or block. To judge a session
    /// by a query use `on_open`.
    ///
    /// From the second refusal in a row on, refused new connections count as failed attempts: the pool pauses between them, and the error
    /// of a request that gets no connection has the hook as its `source`. A panic also closes the connection, and then the source is the
    /// panic's message.
    ///
    /// Session changes by the hook count as the holder's. The pool therefore asks the manager about the session at return
    /// even if the holder did not use the connection. A hook that only reads causes no reset where the manager tracks sessions.
    ///
    /// The hook must not call [`get`](Pool::get) of the same pool, which would run this hook again and again; the call fails with
    /// [`GetError::CalledFromHook`](crate::GetError::CalledFromHook). `try_get` and other pools are allowed.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let manager = Toy;
    /// use cabrank::{CloseReason, Verdict};
    ///
    /// // Old sessions grow slow at this server: each serves a hundred loans.
    /// let settings = Pool::builder().on_checkout(|_, loan| if loan.uses < 100 { Verdict::Keep } else { Verdict::Close });
    /// let pool = settings.build(manager)?;
    /// for _ in 0..101 {
    ///     pool.get()?;
    /// }
    /// assert_eq!(pool.stats().closed.by(CloseReason::Refused), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "before_acquire")]
    #[doc(alias = "pre_recycle")]
    pub fn on_checkout(mut self, judge: impl Fn(&mut M::Connection, &Loan) -> Verdict + Send + Sync + 'static) -> Self {
        self.hooks.of_loans.get_or_insert_default().on_checkout = Some(Box::new(judge));
        self
    }

    /// Judges each connection when its loan ends, in the thread that returns it. [`Verdict::Close`] closes the connection. Default: none,
    /// at no cost. A later `on_return` replaces an earlier one.
    ///
    /// The hook runs after the loan's [canceller](crate::PooledConnection::canceller) has ended, before the event `checked_in` and before
    /// the pool examines the session, outside the lock. Its time is part of the loan, so it must not query the server or block; a guard
    /// may be dropped in an async context. The connection may be dead by then. Session changes by the hook count as the holder's,
    /// as with [`on_checkout`](Self::on_checkout).
    ///
    /// It does not run for a connection that is closed anyway (discarded, cancelled, or broken by a reported error) or detached, nor in a
    /// thread that panics or in a child of `fork`. The event `checked_in` covers each loan. A panic closes the connection. A refused
    /// connection does not count as a failed attempt: if the hook refuses all, each loan costs a log-in, unthrottled.
    ///
    /// [`get`](Pool::get) of the same pool fails in it with [`GetError::CalledFromHook`](crate::GetError::CalledFromHook).
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let manager = Toy;
    /// use cabrank::{CloseReason, Verdict};
    ///
    /// // A connection whose buffer has grown large is closed.
    /// let settings = Pool::<Toy>::builder().on_return(|conn, _| match conn.log.capacity() {
    ///     ..=65_536 => Verdict::Keep,
    ///     _ => Verdict::Close,
    /// });
    /// let pool = settings.build(manager)?;
    /// pool.get()?.log.reserve(1_000_000);
    /// assert_eq!(pool.stats().closed.by(CloseReason::Refused), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "on_release")]
    #[doc(alias = "after_release")]
    #[doc(alias = "post_recycle")]
    pub fn on_return(mut self, judge: impl Fn(&mut M::Connection, &Loan) -> Verdict + Send + Sync + 'static) -> Self {
        self.hooks.of_loans.get_or_insert_default().on_return = Some(Box::new(judge));
        self
    }

    /// Decides what an error means for the pool, in place of the manager. `None` leaves the decision to [`Manager::fault`], which sees
    /// each error in any case. Default: always `None`. A later `classify` replaces an earlier one.
    ///
    /// Use it for errors to which your server, or a proxy before it, gives its own meaning. The pool calls it for errors of `connect` and
    /// `on_open`, and for errors of loans that it receives from [`report_error`](crate::PooledConnection::report_error),
    /// [`run`](Pool::run) and transactions. For a transaction the result also decides whether it is
    /// [run again](crate::Transaction::retries), and whether a failed commit is [`Unknown`](crate::TransactionError::Unknown). With a
    /// `classify`, a driver's error that `#[error(transparent)]` hides closes no connection. How the manager itself handles an error
    /// within a call does not change.
    ///
    /// Runs in the thread that has the error, outside the pool's lock. It must not block: a `get` of the same pool would wait, as
    /// anywhere in a loan. A panic counts as `None`.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let manager = Toy;
    /// use cabrank::{Fault, PooledConnection};
    /// use std::io::Error;
    ///
    /// // Before this proxy shuts down, it answers each statement with an error of its own.
    /// let is_going = |error: &Error| error.to_string().contains("proxy is shutting down");
    /// let pool = Pool::builder().classify(move |error| is_going(error).then_some(Fault::Fatal)).build(manager)?;
    ///
    /// let mut conn = pool.get()?;
    /// let error = Error::other("proxy is shutting down");
    /// assert_eq!(PooledConnection::report_error(&mut conn, &error), Fault::Fatal);
    /// drop(conn); // Closes it, and all others are checked before their next loan.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "exceptionOverride")]
    pub fn classify(mut self, classify: impl Fn(&M::Error) -> Option<Fault> + Send + Sync + 'static) -> Self {
        self.hooks.classify = Some(Box::new(classify));
        self
    }

    /// Adds a receiver of the pool's events. Handlers run in the order in which they were added; a panic in one does not skip the next.
    /// Each handler costs one dynamic call per event, with two events in a loan. Default: none, except the one for `tracing`.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # use std::sync::Arc;
    /// # use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    /// # use std::time::Duration;
    /// use cabrank::{EventHandler, Report};
    ///
    /// # let manager = Toy;
    /// struct TimeOuts(AtomicU64);
    ///
    /// impl EventHandler for TimeOuts {
    ///     fn timed_out(&self, _: &Report) {
    ///         self.0.fetch_add(1, Relaxed);
    ///     }
    /// }
    ///
    /// let time_outs = Arc::new(TimeOuts(AtomicU64::new(0)));
    /// let pool = Pool::builder().max_size(1).event_handler(time_outs.clone()).build(manager)?;
    /// let conn = pool.get()?;
    /// assert!(pool.get_timeout(Duration::from_millis(20)).is_err());
    /// assert_eq!(time_outs.0.load(Relaxed), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn event_handler(mut self, handler: Arc<dyn EventHandler>) -> Self {
        self.hooks.events.push(handler);
        self
    }

    /// Where the closures of [`Pool::run_async`] run. Default: the pool's own threads, called `cabrank-worker`: one for each running
    /// closure, which exits after ten seconds without work.
    ///
    /// With the feature `tokio`, `run_on(cabrank::Tokio)` uses `spawn_blocking`. For other threads pass a closure:
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let manager = Toy;
    /// use cabrank::Work;
    ///
    /// let pool = Pool::builder().run_on(|work: Work| drop(std::thread::spawn(work))).build(manager)?;
    /// let deleted = pollster::block_on(pool.run_async(|conn| conn.execute("DELETE FROM carts")))?;
    /// assert_eq!(deleted, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_on(mut self, spawn: impl Spawn) -> Self {
        self.hooks.spawn = Some(Box::new(spawn));
        self
    }
}
