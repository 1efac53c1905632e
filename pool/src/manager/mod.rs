//! The contract with a driver: what a pool calls on a [`Manager`], when, and in which thread.
//!
//! Vocabulary only: nothing here locks, waits or counts. Requirements for transactions are in `transact.rs`.

#[doc(hidden)]
pub mod doc_toy;
mod transact;

pub use transact::Transact;

use crate::limit::Limit;

/// The pool's interface to a driver.
///
/// Three methods are required. If a connection has session state, such as an open transaction, implement [`reset`](Self::reset), too: the
/// default resets nothing, and the next holder sees the state that the last one left. The other defaults are safe; overriding them saves
/// round trips or lets the pool abort more.
///
/// The pool calls no method while it holds its lock, so a method may use the pool's handle. In `connect`, `is_valid`, `reset` and
/// `close`, [`Pool::get`] and [`Pool::close_within`] do not wait, because they would wait for themselves: `get` fails at once, and
/// `close_within` reports what is left at that moment. The other methods examine one connection or one error and are part of a loan. They
/// must not ask the pool for a connection or wait for it to close: such a call waits, as anywhere in a loan, until its time-out.
///
/// A panic in any method fails that call. The pool closes the connection and loses no capacity.
///
/// # A complete manager
///
/// ```
/// use cabrank::{Limit, Manager, Pool};
/// use std::io;
///
/// /// A connection that answers every line with the same line.
/// struct Echo {
///     open: bool,
/// }
///
/// impl Echo {
///     fn say(&mut self, line: &str) -> io::Result<String> {
///         if self.open { Ok(line.to_owned()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
///     }
/// }
///
/// struct EchoManager;
///
/// impl Manager for EchoManager {
///     type Connection = Echo;
///     type Error = io::Error;
///
///     fn connect(&self, _: &Limit) -> io::Result<Echo> {
///         Ok(Echo { open: true })
///     }
///     fn is_valid(&self, echo: &mut Echo, _: &Limit) -> io::Result<()> {
///         echo.say("ping").map(drop)
///     }
///     fn has_broken(&self, echo: &mut Echo) -> bool {
///         !echo.open
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().max_size(4).build(EchoManager)?;
/// assert_eq!(pool.get()?.say("hello")?, "hello");
/// # Ok(())
/// # }
/// ```
///
/// [`Pool::get`]: crate::Pool::get
/// [`Pool::close_within`]: crate::Pool::close_within
#[doc(alias = "ManageConnection")]
pub trait Manager: Send + Sync + 'static {
    /// The driver's connection, which the pool lends.
    type Connection: Send + 'static;
    /// The driver's error.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Whether the database is a server behind a socket. `false` for an engine in this process.
    ///
    /// With `true` the only calls of this trait in a caller's thread are [`has_broken`](Self::has_broken), [`session`](Self::session) and
    /// [`fault`](Self::fault). With `false` the returning thread itself resets a session that is [`Slight`](SessionState::Slight), unless
    /// the pool has an `on_open` hook. An abort ([`Limit::on_abort`]) then ends the call but not the session: the slot is free only when
    /// the call returns.
    const REMOTE: bool = true;

    /// Returns the default [name](crate::Builder::name) of a pool of this manager: its database's address, as `host:port/database`. Never
    /// include a user or a password, because errors, events and metrics show the name. If another pool of the process has that name, the
    /// pool is called `host:port/database#2`, and so on.
    ///
    /// Called once, in the thread that builds the pool. Must not block. An empty name, a name with control characters, and a panic count
    /// as `None`, which is the default; the pool is then called `"cabrank"`.
    fn default_name(&self) -> Option<String> {
        None
    }

    /// Opens a connection.
    ///
    /// Called in a worker thread. `limit` ends at the pool's `connect_timeout` (sooner for a probe in an outage). Until there is
    /// something to abort, bound the attempt by [`Limit::remaining`] (which may be zero). Then register an abort, which ends an attempt
    /// at a server that accepts and stays silent. [`fault`](Self::fault) classifies an error and so decides what the pool does next: back
    /// off, wait for room at the server, or give up for now.
    fn connect(&self, limit: &Limit) -> Result<Self::Connection, Self::Error>;

    /// Checks that the server responds, by one round trip.
    ///
    /// Called in a worker thread before a loan if the connection was last proved alive longer than `check_after` ago or is suspect, for
    /// `keepalive`, and for a session [in doubt](SessionState::InDoubt). `limit` ends at `check_timeout`. An error closes the connection
    /// and makes all others suspect.
    ///
    /// A manager that requires a server's role, such as a primary, must check it here too. A server in another role responds like any
    /// other, so the error must mean [`Fault::WrongRole`].
    #[doc(alias = "ping")]
    fn is_valid(&self, conn: &mut Self::Connection, limit: &Limit) -> Result<(), Self::Error>;

    /// Returns whether the connection is provably unusable, from local state: no round trip, no blocking.
    ///
    /// Called in the caller's thread at every check-out and every return, so it should take well under a microsecond. `true` closes the
    /// connection and makes all others suspect; `false` proves nothing.
    fn has_broken(&self, conn: &mut Self::Connection) -> bool;

    /// Returns the session's state as the driver sees it, without a round trip.
    ///
    /// Called in the returning thread after a loan that touched the connection, with session policy
    /// [`Tracked`](crate::SessionPolicy::Tracked). [`SessionState::Clean`] needs no action. [`BeyondReset`](SessionState::BeyondReset)
    /// closes the connection with a goodbye, [`Broken`](SessionState::Broken) without one, and [`InDoubt`](SessionState::InDoubt) after a
    /// check that decides between the two. Anything else leads to a [`reset`](Self::reset).
    ///
    /// With every policy it is also called after each reset, where only [`BeyondReset`](SessionState::BeyondReset) and
    /// [`Broken`](SessionState::Broken) count (`InDoubt` as `Broken`), and in the caller's thread before
    /// [`Pool::transaction`](crate::Pool::transaction) begins, where only [`InTransaction`](SessionState::InTransaction) counts: no
    /// transaction begins in such a session.
    fn session(&self, conn: &mut Self::Connection) -> SessionState {
        let _ = conn;
        SessionState::Unknown
    }

    /// Makes the session as good as new: no transaction, settings, temporary objects, or locks of the last holder.
    ///
    /// Called in a worker thread after a loan (in the returning thread for an engine in this process where `session` is
    /// [`Slight`](SessionState::Slight), or [`Clean`](SessionState::Clean) and reset all the same). `limit` ends at `reset_timeout`. An
    /// error closes the connection and counts as a failure of the server. If the session has state that no reset undoes, return `Ok` and
    /// let [`session`](Self::session) return [`BeyondReset`](SessionState::BeyondReset). The default does nothing, which is right only
    /// for connections without a session.
    fn reset(&self, conn: &mut Self::Connection, limit: &Limit) -> Result<(), Self::Error> {
        let _ = (conn, limit);
        Ok(())
    }

    /// Examines a session that has just been set up. The pool refuses one that is [`InTransaction`](SessionState::InTransaction), because
    /// the writes of its holders would be rolled back in the end: after opening as a permanent fault
    /// ([`Cause::InTransaction`](crate::Cause::InTransaction)), after a reset as a failed reset. A session that is
    /// [`Broken`](SessionState::Broken) or [`InDoubt`](SessionState::InDoubt) counts as a failed attempt or a failed reset. Other states
    /// have no effect.
    ///
    /// Called in the thread of `connect` or [`reset`](Self::reset), after it and after `on_open`, with every session policy. A round trip
    /// is allowed, within the same `limit`, but should be made only if the state is in doubt. An error counts as one of `connect` or
    /// `reset`. The default is [`session`](Self::session).
    ///
    /// ```
    /// use cabrank::{Limit, Manager, SessionState};
    /// use std::io;
    ///
    /// # struct Driver;
    /// struct Conn {
    ///     /// What the driver has noted, and whether a text of several statements was sent, which it does not follow.
    ///     in_transaction: bool,
    ///     in_doubt: bool,
    /// }
    ///
    /// # impl Conn {
    /// #     fn ask_whether_in_transaction(&mut self) -> io::Result<bool> { Ok(false) }
    /// # }
    /// impl Manager for Driver {
    /// #     type Connection = Conn;
    /// #     type Error = io::Error;
    /// #     fn connect(&self, _: &Limit) -> io::Result<Conn> { Ok(Conn { in_transaction: false, in_doubt: true }) }
    /// #     fn is_valid(&self, _: &mut Conn, _: &Limit) -> io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut Conn) -> bool { false }
    ///     // ..
    ///     fn check_set_up(&self, conn: &mut Conn, _: &Limit) -> io::Result<SessionState> {
    ///         let is_open = if conn.in_doubt { conn.ask_whether_in_transaction()? } else { conn.in_transaction };
    ///         Ok(if is_open { SessionState::InTransaction } else { SessionState::Unknown })
    ///     }
    /// }
    /// # cabrank::Pool::builder().build(Driver).unwrap();
    /// ```
    fn check_set_up(&self, conn: &mut Self::Connection, limit: &Limit) -> Result<SessionState, Self::Error> {
        let _ = limit;
        Ok(self.session(conn))
    }

    /// Marks the end of the session's set-up: later changes are the holder's. A manager that records changes for
    /// [`session`](Self::session) clears its record here; otherwise the settings of `on_open` would cost each loan a reset.
    ///
    /// Called in the thread of `connect` or [`reset`](Self::reset), after [`check_set_up`](Self::check_set_up). Must not block. The
    /// default does nothing, for managers that track nothing.
    fn start_tracking(&self, conn: &mut Self::Connection) {
        let _ = conn;
    }

    /// Closes the connection in good order and waits until the server has ended the session.
    ///
    /// Called in a worker thread, only for connections that seem healthy; `limit` ends at `close_timeout`. The slot stays taken until
    /// this returns. The default drops the connection.
    fn close(&self, conn: Self::Connection, limit: &Limit) {
        let _ = limit;
        drop(conn);
    }

    /// Returns what an error means for the pool, unless the user's [`classify`](crate::Builder::classify) decides it. Also called in that
    /// case: a manager may learn from an error, for example that the schema has changed.
    ///
    /// Called in the thread that has the error: a worker for the pool's own calls, the caller for
    /// [`PooledConnection::report_error`](crate::PooledConnection::report_error), `run` and transactions. Must not block. The default,
    /// [`Fault::Statement`], means that the error concerns one statement; for a failed `connect` it counts as [`Fault::Unavailable`].
    fn fault(&self, error: &Self::Error) -> Fault {
        let _ = error;
        Fault::Statement
    }

    /// Returns what an error means by one of its sources, if the driver's own error is hidden.
    ///
    /// [`Pool::run`](crate::Pool::run) and transactions look for `Error` in the chain of sources of a closure's error. An enum that
    /// forwards `Display` and `source` to the error that it wraps (`#[error(transparent)]`) hides that error and shows its source. If the
    /// chain has no `Error`, the pool calls this method with each error of the chain until one returns `Some`.
    ///
    /// Called in the caller's thread. Must not block. The default returns `None`.
    fn fault_of_source(&self, source: &(dyn std::error::Error + 'static)) -> Option<Fault> {
        let _ = source;
        None
    }

    /// Returns a remark about this connection's server that may explain errors of its holders, such as "the server has been read-only for
    /// 12 s". It does not affect the pool. [`EventHandler::remarked`](crate::EventHandler::remarked) and the
    /// [report](crate::Report::remark) of a request that is not served pass it on.
    ///
    /// Called in a worker thread, after [`connect`](Self::connect) and after a successful check. Use local state only: no round trip, no
    /// blocking. The default returns `None`.
    fn remark(&self, conn: &Self::Connection) -> Option<String> {
        let _ = conn;
        None
    }

    /// Returns a handle by which another thread can cancel or abort what runs on this connection while it is lent or busy.
    ///
    /// Called once, in a worker thread, right after [`connect`](Self::connect). With a handle that [can abort](AbortHandle::can_abort)
    /// the pool itself aborts every later driver call on the connection that overruns ([`AbortHandle::abort`]): `is_valid`, `reset` and
    /// `close` need not register their own abort, and `close_within` can end the statement of a holder.
    fn abort_handle(&self, conn: &Self::Connection) -> Option<Box<dyn AbortHandle>> {
        let _ = conn;
        None
    }
}

/// The state of a session as the driver sees it. See [`Manager::session`]. Later versions may add states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionState {
    /// Provably without a trace of the last holder. Needs no reset.
    Clean,
    /// With traces that a reset undoes within microseconds, however many there are. For an engine in this process ([`Manager::REMOTE`] is
    /// `false`) the returning thread resets it; otherwise the same as `Unknown`.
    Slight,
    /// A transaction is certainly open.
    InTransaction,
    /// Other traces, or no way to find out: a worker resets the session.
    Unknown,
    /// With a trace of the last holder that no reset undoes. The connection is closed in good order
    /// ([`CloseReason::BeyondReset`](crate::CloseReason::BeyondReset)) and counts as sound: others do not become suspect.
    BeyondReset,
    /// The connection must not be used again. The same as `true` from [`has_broken`](Manager::has_broken), for a test that is cheap
    /// enough once a loan, but not twice.
    Broken,
    /// The connection must not be used again: it is dead, or its holder left something in it, and local state does not show which. A
    /// worker calls [`is_valid`](Manager::is_valid). If the server responds, this was [`BeyondReset`](Self::BeyondReset), else
    /// [`Broken`](Self::Broken). Until then the other connections are checked before their loans. Costs the connection and that check.
    InDoubt,
}

/// What an error means for the pool. See [`Manager::fault`].
///
/// | fault | of `connect` or `on_open` | of a statement, from `report_error`, `run` or a transaction | of a commit |
/// |---|---|---|---|
/// | `Statement` | as `Unavailable`; of `on_open` after opening, as `Permanent` | nothing | it failed |
/// | `Retry` | as `Unavailable` | the transaction may run again, if asked to | the same |
/// | `Fatal` | as `Unavailable` | the connection is closed, all others are checked before their next loan | and the outcome is unknown |
/// | `WrongRole` | as `Unavailable` | as `Fatal` | it failed |
/// | `Unavailable` | back off, one attempt at a time | nothing | the outcome is unknown |
/// | `Capacity` | go on with the open connections | nothing | the outcome is unknown |
/// | `Permanent` | with no connection open all waiters fail at once | nothing | the outcome is unknown |
///
/// An error of `is_valid` or `reset` closes the connection, with any fault. One that means `WrongRole` has all others checked before
/// their next loan, and counts as [`CloseReason::WrongRole`](crate::CloseReason::WrongRole).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// One statement failed; the connection is fine.
    Statement,
    /// The whole transaction may be run again: serialization failure, deadlock and the like.
    Retry,
    /// The connection is lost, or its protocol state is unknown: it must not be used again.
    Fatal,
    /// The session works, but its server does not have the required role: a primary that was demoted, a server that became read-only. The
    /// connection is closed with a goodbye. Others may have the same server, so each is checked before its next loan, and
    /// [`Manager::is_valid`] must detect the role. So must [`Manager::connect`], or each new session causes a holder an error.
    WrongRole,
    /// The server cannot be reached or refuses for now: back off and try again.
    Unavailable,
    /// The server is full: go on with the open connections.
    Capacity,
    /// Not transient: wrong password, no such database, wrong file.
    Permanent,
}

/// Cancels or aborts what runs on one connection, from another thread. See [`Manager::abort_handle`].
///
/// Both methods may be called at any time, also while the connection is idle, being closed, or gone.
#[doc(alias = "CancelToken")]
#[doc(alias = "InterruptHandle")]
pub trait AbortHandle: Send + Sync + 'static {
    /// Asks the server to cancel the running statement. Returns whether it could ask.
    ///
    /// Called in a worker thread; may open a side connection, within `limit`. The pool never reuses a connection after this. For an
    /// engine in this process (`REMOTE = false`) it must not block: a [`Canceller`](crate::Canceller) calls it in its own thread, the end
    /// of the loan waits for it, and the connection is reused. The default returns `false`.
    fn cancel(&self, limit: &Limit) -> bool {
        let _ = limit;
        false
    }

    /// Shuts the connection down: the call that runs on it fails soon.
    ///
    /// Called in the timer's thread when a call overruns, in the thread that calls `close_within`, and in a worker. It must not block,
    /// because all pools of the process share the timer, and must own what it touches (a duplicated descriptor, never a raw number).
    fn abort(&self);

    /// Returns whether this can abort. Return `false` if it can only cancel, for example because the driver does not expose its socket.
    /// Then [`abort`](Self::abort) is never called: a call that overruns is [cancelled](Self::cancel), and keeps its slot until it
    /// returns (counted as `stuck`). Called before each use. The default is `true`.
    fn can_abort(&self) -> bool {
        true
    }
}
