//! The manager that passes every call on to another, after applying its injection.

use super::faults::{Faults, Injection, Injector, Method};
use cabrank::{AbortHandle, Fault, Limit, Manager, SessionState, Transact};
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Any manager, with faults injected into its calls. Connections, errors and transactions are those of the inner manager.
///
/// ```
/// use cabrank::{CloseReason, Pool};
/// use cabrank_testing::fake::FakeServer;
/// use cabrank_testing::{Faulty, Injection, Method, assert_no_leaks, eventually};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = FakeServer::new();
/// # let manager = server.manager();
/// let (faulty, faults) = Faulty::wrap(manager);
/// let pool = Pool::builder().max_size(1).reset_timeout(Duration::from_millis(100)).build_lazy(faulty)?;
///
/// faults.next(Method::Reset, Injection::Hang);
/// # pool.get()?.litter();
/// // A loan leaves something behind; the reset hangs, is given up, and costs the connection, but delays nobody.
/// pool.get()?.query()?;
/// eventually("the call that hung is over", || pool.stats().closed.by(CloseReason::Overran) == 1);
/// assert_no_leaks(&pool);
/// # Ok(())
/// # }
/// ```
pub struct Faulty<M: Manager> {
    inner: M,
    injector: Arc<Injector<M::Error>>,
}

impl<M: Manager> Faulty<M> {
    /// Returns the manager to build a pool with, and its remote control.
    pub fn wrap(inner: M) -> (Self, Faults<M::Error>) {
        let (faults, injector) = Faults::new();
        (Self { inner, injector }, faults)
    }

    /// Applies the injection to a call without a limit.
    fn suffer(&self, method: Method) -> Result<(), M::Error> {
        self.injector.suffer(method, || false)
    }

    /// Applies the injection to a call with a limit.
    fn suffer_within(&self, method: Method, limit: &Limit) -> Result<(), M::Error> {
        self.injector.suffer(method, || limit.is_over())
    }
}

impl<M: Manager> fmt::Debug for Faulty<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl<M: Manager> Manager for Faulty<M> {
    type Connection = M::Connection;
    type Error = M::Error;

    const REMOTE: bool = M::REMOTE;

    fn default_name(&self) -> Option<String> {
        self.inner.default_name()
    }

    fn connect(&self, limit: &Limit) -> Result<M::Connection, M::Error> {
        match self.injector.begin(Method::Connect) {
            // After the driver has connected, with its own way to abort in place.
            Some(Injection::Hang) => {
                let conn = self.inner.connect(limit)?;
                self.injector.hang(Method::Connect, || limit.is_over());
                return Ok(conn);
            }
            Some(injection) => self.injector.go_through(Method::Connect, injection, || limit.is_over())?,
            None => {}
        }
        self.inner.connect(limit)
    }

    fn is_valid(&self, conn: &mut M::Connection, limit: &Limit) -> Result<(), M::Error> {
        self.suffer_within(Method::IsValid, limit)?;
        self.inner.is_valid(conn, limit)
    }

    fn has_broken(&self, conn: &mut M::Connection) -> bool {
        self.suffer(Method::HasBroken).is_err() || self.inner.has_broken(conn)
    }

    fn session(&self, conn: &mut M::Connection) -> SessionState {
        self.suffer(Method::Session).map_or(SessionState::Unknown, |()| self.inner.session(conn))
    }

    fn reset(&self, conn: &mut M::Connection, limit: &Limit) -> Result<(), M::Error> {
        self.suffer_within(Method::Reset, limit)?;
        self.inner.reset(conn, limit)
    }

    fn check_set_up(&self, conn: &mut M::Connection, limit: &Limit) -> Result<SessionState, M::Error> {
        self.suffer_within(Method::CheckSetUp, limit)?;
        self.inner.check_set_up(conn, limit)
    }

    fn start_tracking(&self, conn: &mut M::Connection) {
        if self.suffer(Method::StartTracking).is_ok() {
            self.inner.start_tracking(conn);
        }
    }

    fn close(&self, conn: M::Connection, limit: &Limit) {
        if self.suffer_within(Method::Close, limit).is_ok() {
            self.inner.close(conn, limit);
        }
    }

    fn fault(&self, error: &M::Error) -> Fault {
        self.suffer(Method::Fault).map_or(Fault::Fatal, |()| self.inner.fault(error))
    }

    fn fault_of_source(&self, source: &(dyn Error + 'static)) -> Option<Fault> {
        self.inner.fault_of_source(source)
    }

    fn remark(&self, conn: &M::Connection) -> Option<String> {
        self.inner.remark(conn)
    }

    fn abort_handle(&self, conn: &M::Connection) -> Option<Box<dyn AbortHandle>> {
        self.suffer(Method::AbortHandle).ok()?;
        let inner = self.inner.abort_handle(conn)?;
        Some(Box::new(FaultyAbortHandle { inner, injector: self.injector.clone() }))
    }
}

impl<M: Transact> Transact for Faulty<M> {
    type Transaction<'c> = M::Transaction<'c>;
    type Options = M::Options;

    fn begin<'c>(&self, conn: &'c mut M::Connection, options: &M::Options) -> Result<M::Transaction<'c>, M::Error> {
        self.suffer(Method::Begin)?;
        self.inner.begin(conn, options)
    }

    fn commit(&self, transaction: M::Transaction<'_>) -> Result<(), M::Error> {
        if let Err(error) = self.suffer(Method::Commit) {
            let _ = self.inner.rollback(transaction);
            return Err(error);
        }
        self.inner.commit(transaction)
    }

    fn rollback(&self, transaction: M::Transaction<'_>) -> Result<(), M::Error> {
        self.suffer(Method::Rollback)?;
        self.inner.rollback(transaction)
    }

    fn nested<T, E: From<M::Error>>(
        outer: &mut M::Transaction<'_>,
        work: impl FnOnce(&mut M::Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        M::nested(outer, work)
    }
}

struct FaultyAbortHandle<E> {
    inner: Box<dyn AbortHandle>,
    injector: Arc<Injector<E>>,
}

impl<E: Send + 'static> AbortHandle for FaultyAbortHandle<E> {
    fn cancel(&self, limit: &Limit) -> bool {
        self.injector.suffer(Method::Cancel, || limit.is_over()).is_ok() && self.inner.cancel(limit)
    }

    fn abort(&self) {
        if self.injector.suffer(Method::Abort, || false).is_ok() {
            self.inner.abort();
            self.injector.aborted();
        }
    }

    fn can_abort(&self) -> bool {
        self.inner.can_abort()
    }
}
