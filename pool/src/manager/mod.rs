//! The contract with a driver: what a pool asks of a [`Manager`], when, and in which thread.
//!
//! Vocabulary only. Nothing here locks, waits or counts. What transactions need of a driver is `transact.rs`.

mod transact;

pub use transact::Transact;

use crate::limit::Limit;

/// All that a pool needs of a driver.
///
/// Three methods are required. Where a connection has session state, such as an open transaction, implement [`reset`](Self::reset), too: by
/// default nothing is reset, and the next holder meets what the last one left. The other defaults are safe; a method of your own spares
/// round trips or lets the pool abort more.
///
/// No method is called while the pool's lock is held, so a method may use the pool's handle. [`Pool::get`] and [`Pool::close_within`]
/// do not wait in `connect`, `is_valid`, `reset` and `close`, where they would wait for themselves: `get` fails at once, and
/// `close_within` reports what is left at that moment. The other methods look at one connection or one error and are part of a loan.
/// They must not ask the pool for a connection or wait for its end: there that waits, as anywhere in a loan, until its time-out.
///
/// A panic in any method counts as that call's failure; the connection it concerned is closed and no capacity is lost.
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
    /// The driver's connection, the thing that is lent.
    type Connection: Send + 'static;
    /// The driver's error.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Whether the database is a server behind a socket. `false` for an engine in this process.
    ///
    /// With `true` no call of this trait but [`has_broken`](Self::has_broken), [`session`](Self::session) and
    /// [`fault`](Self::fault) ever runs in a caller's thread. With `false` the returning thread itself resets a session that is
    /// [`Slight`](SessionState::Slight), unless the pool has an `on_open` hook. An abort ([`Limit::on_abort`]) then ends the
    /// call but not the session: the slot is back only when the call returns.
    const REMOTE: bool = true;

    /// What a pool of this manager is called unless it is given a [name](crate::Builder::name): where its database is, as
    /// `host:port/database`. Never a user or a password, for the name stands in errors, events and metrics. Where another pool of the
    /// process has that name, the pool is called `host:port/database#2`, and so on.
    ///
    /// Called once, when the pool is built, in the thread that builds it. Must not block. A name that is empty or has control characters
    /// does not count, and a panic counts as none. The default has none, and then the pool is called `"cabrank"`.
    fn default_name(&self) -> Option<String> {
        None
    }

    /// Opens a connection.
    ///
    /// Called in a worker thread. `limit` ends at the pool's `connect_timeout` (sooner for a probe in an outage). Until
    /// there is something to abort with, bound the attempt by [`Limit::remaining`] (which may be zero). Then register an abort:
    /// it ends an attempt at a server that accepts and stays silent. An error is classified by [`fault`](Self::fault) and
    /// decides how the pool goes on: back off, wait for room at the server, or give up for now.
    fn connect(&self, limit: &Limit) -> Result<Self::Connection, Self::Error>;

    /// Asks the server for a sign of life: one round trip.
    ///
    /// Called in a worker thread before a loan, when the connection was last proved longer than `check_after` ago or is
    /// under suspicion, for `keepalive`, and for a session [in doubt](SessionState::InDoubt). `limit` ends at `check_timeout`. An error
    /// closes the connection and puts all others under suspicion.
    ///
    /// A manager that is asked for a server's role, such as a primary, asks for it here too. A server in another role answers
    /// like any other, so the error must mean [`Fault::WrongRole`].
    #[doc(alias = "ping")]
    fn is_valid(&self, conn: &mut Self::Connection, limit: &Limit) -> Result<(), Self::Error>;

    /// Is the connection provably unusable? Looks at what lies on this side: no round trip, no blocking.
    ///
    /// Called in the caller's thread at every check-out and every return, so it should take well under a microsecond.
    /// `true` closes the connection and puts all others under suspicion; `false` proves nothing.
    fn has_broken(&self, conn: &mut Self::Connection) -> bool;

    /// What the driver's side shows of the session, without a round trip.
    ///
    /// Called in the returning thread after a loan that touched the connection, with session policy
    /// [`Tracked`](crate::SessionPolicy::Tracked). [`SessionState::Clean`] leads to nothing,
    /// [`BeyondReset`](SessionState::BeyondReset) to a goodbye, [`Broken`](SessionState::Broken) to the end without one,
    /// [`InDoubt`](SessionState::InDoubt) to a question that decides between the two, and anything else to a [`reset`](Self::reset).
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
    /// [`Slight`](SessionState::Slight), or [`Clean`](SessionState::Clean) and reset all the same). `limit` ends at `reset_timeout`.
    /// An error closes the connection, as a failure of the server. What no reset undoes is no failure: then return `Ok`, and have
    /// [`session`](Self::session) answer [`BeyondReset`](SessionState::BeyondReset). The default does nothing, which is right only for
    /// connections without a session.
    fn reset(&self, conn: &mut Self::Connection, limit: &Limit) -> Result<(), Self::Error> {
        let _ = (conn, limit);
        Ok(())
    }

    /// Looks at a session that has just been set up. One that is [`InTransaction`](SessionState::InTransaction) is refused: what its
    /// holders write would be rolled back in the end. After opening that is a permanent fault
    /// ([`Cause::InTransaction`](crate::Cause::InTransaction)), after a reset a failed reset. One that is [`Broken`](SessionState::Broken)
    /// counts as a failed attempt, or as a failed reset, and so does one [`InDoubt`](SessionState::InDoubt). No other state counts here.
    ///
    /// Called in the thread of `connect` or [`reset`](Self::reset), after it and after `on_open`, with every session
    /// policy. A round trip is allowed, within the same `limit`, and best spent only where the answer is in doubt. An error counts as
    /// one of `connect` or `reset`. The default is [`session`](Self::session).
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

    /// From here on what happens to the session is a holder's doing. A manager that keeps a mark of what was changed, for
    /// [`session`](Self::session), clears it here; otherwise what `on_open` sets would cost each loan a reset.
    ///
    /// Called in the thread of `connect` or [`reset`](Self::reset), after [`check_set_up`](Self::check_set_up). Must not block.
    /// The default does nothing, for managers that track nothing.
    fn start_tracking(&self, conn: &mut Self::Connection) {
        let _ = conn;
    }

    /// Says goodbye in good order and waits until the server has ended the session.
    ///
    /// Called in a worker thread, only for connections that seem healthy; `limit` ends at `close_timeout`. The slot stays
    /// taken until this returns. The default drops the connection.
    fn close(&self, conn: Self::Connection, limit: &Limit) {
        let _ = limit;
        drop(conn);
    }

    /// What an error means for the pool, where the user's [`classify`](crate::Builder::classify) does not say it. Also called where it
    /// does: a manager may learn from an error, for example that the schema has changed.
    ///
    /// Called in the thread that has the error: the workers for the pool's own calls, the caller for
    /// [`PooledConnection::report_error`](crate::PooledConnection::report_error), `run` and transactions. Must not block. The
    /// default, [`Fault::Statement`], says that the error concerns one statement; for a failed `connect` it counts as
    /// [`Fault::Unavailable`].
    fn fault(&self, error: &Self::Error) -> Fault {
        let _ = error;
        Fault::Statement
    }

    /// What an error means that comes with this driver's, where the driver's own is hidden.
    ///
    /// [`Pool::run`](crate::Pool::run) and transactions look for `Error` in the chain of sources of a closure's error. An enum that
    /// forwards `Display` and `source` to the error that it wraps (`#[error(transparent)]`) hides that error and shows its source.
    /// Where no `Error` is found, each error of the chain is shown to this method until it knows one.
    ///
    /// Called in the caller's thread. Must not block. The default knows none.
    fn fault_of_source(&self, source: &(dyn std::error::Error + 'static)) -> Option<Fault> {
        let _ = source;
        None
    }

    /// What there is to say of this connection's server that may explain errors of its holders, such as "the server has been read-only
    /// for 12 s". Decides nothing: it is told by [`EventHandler::remarked`](crate::EventHandler::remarked), and by the
    /// [report](crate::Report::remark) of a request that is not served.
    ///
    /// Called in a worker thread, after [`connect`](Self::connect) and after a check that went well. By what is known here: no round
    /// trip, no blocking. The default has nothing to say.
    fn remark(&self, conn: &Self::Connection) -> Option<String> {
        let _ = conn;
        None
    }

    /// A handle by which another thread can cancel or abort what runs on this connection while it is lent or busy.
    ///
    /// Called once, in a worker thread, right after [`connect`](Self::connect). With a handle that [can abort](AbortHandle::can_abort)
    /// the pool itself aborts every later driver call on the connection that overruns ([`AbortHandle::abort`]), so that `is_valid`,
    /// `reset` and `close` need not register an abort of their own; and `close_within` can end what a holder is still running.
    fn abort_handle(&self, conn: &Self::Connection) -> Option<Box<dyn AbortHandle>> {
        let _ = conn;
        None
    }
}

/// What the driver's side shows of a session. See [`Manager::session`]. A later version may have more states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionState {
    /// Provably without a trace of the last holder. Costs no reset.
    Clean,
    /// With traces that a reset undoes within microseconds, however many there are. For an engine in this process
    /// ([`Manager::REMOTE`] is `false`) the returning thread does that itself; else this is as `Unknown`.
    Slight,
    /// A transaction is open, for sure.
    InTransaction,
    /// Something else was left behind, or there is no way to see: a worker resets it.
    Unknown,
    /// With a trace of the last holder that no reset undoes. The connection is closed in good order
    /// ([`CloseReason::BeyondReset`](crate::CloseReason::BeyondReset)) and counts as sound: others are not suspected.
    BeyondReset,
    /// The connection must not be used again. As `true` of [`has_broken`](Manager::has_broken), for a look that is worth taking once a
    /// loan, but not twice.
    Broken,
    /// The connection must not be used again, for it is dead, or its holder left something in it: nothing on this side says which. A
    /// worker calls [`is_valid`](Manager::is_valid). If the server answers, this was [`BeyondReset`](Self::BeyondReset), else
    /// [`Broken`](Self::Broken). Until then the others are checked before their loans. Costs the connection, and that question.
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
/// | `Capacity` | go on with what there is | nothing | the outcome is unknown |
/// | `Permanent` | with no connection open all who wait fail at once | nothing | the outcome is unknown |
///
/// An error of `is_valid` or `reset` closes the connection, with any fault. One that means `WrongRole` has all others checked
/// before their next loan, and is counted as [`CloseReason::WrongRole`](crate::CloseReason::WrongRole).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// One statement failed; the connection is fine.
    Statement,
    /// The whole transaction may be run again: serialization failure, deadlock and the like.
    Retry,
    /// The connection is lost, or its protocol state is unknown: it must not be used again.
    Fatal,
    /// The session works, and its server has another role than is asked for: a primary that was demoted, a server that became
    /// read-only. The connection is closed with a goodbye. Others may have the same server, so each is checked before its next loan,
    /// which must find that out ([`Manager::is_valid`]). So must [`Manager::connect`], or each new session costs somebody an error.
    WrongRole,
    /// The server cannot be reached or refuses for now: back off and try again.
    Unavailable,
    /// The server is full: make do with the connections there are.
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
    /// Asks the server to give up the statement that is running now. Returns whether it could ask.
    ///
    /// Called in a worker thread; may open a side connection, within `limit`. The pool never reuses a connection after this. For an
    /// engine in this process (`REMOTE = false`) it must not block: a [`Canceller`](crate::Canceller) calls it in its own thread, the end
    /// of the loan waits for it, and the connection goes on. The default cannot ask.
    fn cancel(&self, limit: &Limit) -> bool {
        let _ = limit;
        false
    }

    /// Shuts the connection down: the call that runs on it fails soon.
    ///
    /// Called in the timer's thread when a call overruns, in the thread that calls `close_within`, and in a worker. Must not block, for
    /// the timer is that of all pools of the process, and must own what it touches (a duplicated descriptor, never a raw number).
    fn abort(&self);

    /// Can this abort? `false` if it can only cancel, as where the driver gives nobody its socket. Then [`abort`](Self::abort) is never
    /// called: a call that overruns is [cancelled](Self::cancel), and keeps its slot until it returns (counted as `stuck`). Asked before
    /// each use. The default is yes.
    fn can_abort(&self) -> bool {
        true
    }
}
