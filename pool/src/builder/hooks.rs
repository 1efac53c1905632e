//! The user's own code in a pool: what runs when, and what it may decide.

use crate::builder::Builder;
use crate::event::EventHandler;
use crate::manager::{Fault, Manager};
#[cfg(doc)]
use crate::pool::Pool;
use crate::shared::SetUp;
use std::sync::Arc;

impl<M: Manager> Builder<M> {
    /// Sets up each session: runs in a worker thread after a connection is opened, and again after each reset, within the
    /// time of that call. An error or a panic counts as the call's failure.
    ///
    /// What fails in a sound session ([`Fault::Statement`](crate::Fault::Statement)) fails in the next, too: after opening, that is a
    /// permanent fault, told at once. So is a transaction that is left open: what its holders write would be lost. Commit it here, or
    /// begin it in the loan.
    ///
    /// ```
    /// # use cabrank::{Limit, Manager, Pool};
    /// # struct Toy;
    /// # impl Manager for Toy {
    /// #     type Connection = Vec<String>;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self, _: &Limit) -> std::io::Result<Vec<String>> { Ok(Vec::new()) }
    /// #     fn is_valid(&self, _: &mut Vec<String>, _: &Limit) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut Vec<String>) -> bool { false }
    /// # }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::<Toy>::builder().on_open(|conn, set_up| {
    ///     if set_up.is_first() {
    ///         // What a reset leaves alone needs to be done only once.
    ///         conn.push("opened".into());
    ///     }
    ///     Ok(())
    /// });
    /// let pool = pool.build(Toy)?;
    /// assert_eq!(*pool.get()?, ["opened"]);
    /// # Ok(())
    /// # }
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

    /// Says what an error means for the pool, before the manager is asked: `None` leaves it to [`Manager::fault`]. Default: always
    /// `None`.
    ///
    /// For errors that only this server, or a proxy before it, gives its own meaning. Asked wherever the manager would be: for errors of
    /// `connect` and `on_open`, and for those of loans that reach the pool by
    /// [`report_error`](crate::PooledConnection::report_error), [`run`](Pool::run) and transactions. What a transaction's error means
    /// also decides whether it is [run again](crate::Transaction::retries), and whether a failed commit is
    /// [`Unknown`](crate::TransactionError::Unknown). The last `classify` counts. What the manager itself does about an error within a
    /// call is not changed.
    ///
    /// Runs in whatever thread has the error, outside the pool's lock, and must not block. A panic counts as `None`.
    ///
    /// ```
    /// # use cabrank::{Limit, Manager, Pool};
    /// # use std::io::Error;
    /// # struct Toy;
    /// # impl Manager for Toy {
    /// #     type Connection = i64;
    /// #     type Error = Error;
    /// #     fn connect(&self, _: &Limit) -> Result<i64, Error> { Ok(0) }
    /// #     fn is_valid(&self, _: &mut i64, _: &Limit) -> Result<(), Error> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut i64) -> bool { false }
    /// # }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use cabrank::{Fault, PooledConnection};
    ///
    /// // Before it goes, this proxy answers each statement with an error of its own.
    /// let is_going = |error: &Error| error.to_string().contains("proxy is shutting down");
    /// let pool = Pool::builder().classify(move |error| is_going(error).then_some(Fault::Fatal)).build(Toy)?;
    ///
    /// let mut conn = pool.get()?;
    /// let error = Error::other("proxy is shutting down");
    /// assert_eq!(PooledConnection::report_error(&mut conn, &error), Fault::Fatal);
    /// drop(conn); // It is closed, and all others are checked before their next loan.
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "exceptionOverride")]
    pub fn classify(mut self, classify: impl Fn(&M::Error) -> Option<Fault> + Send + Sync + 'static) -> Self {
        self.hooks.classify = Some(Box::new(classify));
        self
    }

    /// Receives what happens in the pool, beside those that were given before, in their order: a panic of one is swallowed, and the
    /// next is called all the same. Default: none, but for `tracing`.
    pub fn event_handler(mut self, handler: Arc<dyn EventHandler>) -> Self {
        self.hooks.events.push(handler);
        self
    }
}
