//! An r2d2 manager as a cabrank manager.

use cabrank::{Fault, Limit, Manager, SessionState};
use r2d2::ManageConnection;
use std::error::Error;
use std::fmt;

/// Adapts an r2d2 manager for a [`cabrank::Pool`].
///
/// `connect` and `is_valid` run in worker threads. `has_broken` is called once a loan, at its end, in the thread that returns the
/// connection. A connection that it calls broken is closed. It may be dead or, as with Diesel, only have an open transaction: `is_valid`
/// decides which. Until it returns, the other connections are checked before their loans, and also afterwards if it fails.
pub struct R2d2Manager<M: ManageConnection> {
    manager: M,
    cleaner: Option<Cleaner<M::Connection>>,
    fault: Option<Box<dyn Fn(&M::Error) -> Fault + Send + Sync>>,
}

/// An error of a cleaner.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// How a session is cleaned between two holders.
struct Cleaner<C> {
    look: Box<dyn Fn(&mut C) -> SessionState + Send + Sync>,
    clean: Box<dyn Fn(&mut C) -> Result<(), BoxError> + Send + Sync>,
}

impl<M: ManageConnection> R2d2Manager<M> {
    /// Adapts `manager`. Without a cleaner, sessions are lent again as their holders leave them: see [`clean`](Self::clean).
    ///
    /// ```
    /// use cabrank::Pool;
    /// use cabrank_r2d2::R2d2Manager;
    /// # struct Numbers;
    /// # impl r2d2::ManageConnection for Numbers {
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self) -> Result<u32, std::io::Error> { Ok(7) }
    /// #     fn is_valid(&self, _: &mut u32) -> Result<(), std::io::Error> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// # }
    ///
    /// let pool = Pool::builder().build(R2d2Manager::new(Numbers))?;
    /// assert_eq!(*pool.get()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(manager: M) -> Self {
        Self { manager, cleaner: None, fault: None }
    }

    /// Cleans sessions between two holders.
    ///
    /// `look` is called in the returning thread and must not block. After [`SessionState::Clean`] the pool calls `has_broken`, after
    /// `Unknown` or `InTransaction` `clean`. That runs in a worker thread and may query the server; an error closes the connection.
    ///
    /// ```
    /// use cabrank::{Pool, SessionState};
    /// use cabrank_r2d2::R2d2Manager;
    /// # struct Lists;
    /// # impl r2d2::ManageConnection for Lists {
    /// #     type Connection = Vec<u32>;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self) -> Result<Vec<u32>, std::io::Error> { Ok(Vec::new()) }
    /// #     fn is_valid(&self, _: &mut Vec<u32>) -> Result<(), std::io::Error> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut Vec<u32>) -> bool { false }
    /// # }
    ///
    /// let manager = R2d2Manager::new(Lists).clean(
    ///     |list| if list.is_empty() { SessionState::Clean } else { SessionState::Unknown },
    ///     |list| {
    ///         list.clear();
    ///         Ok(())
    ///     },
    /// );
    /// let pool = Pool::builder().max_size(1).build(manager)?;
    /// pool.get()?.push(7);
    /// assert!(pool.get()?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clean(
        mut self,
        look: impl Fn(&mut M::Connection) -> SessionState + Send + Sync + 'static,
        clean: impl Fn(&mut M::Connection) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.cleaner = Some(Cleaner { look: Box::new(look), clean: Box::new(clean) });
        self
    }

    /// Sets what the manager's errors mean for the pool. By default an error of `connect` counts as [`Fault::Unavailable`]. An error of
    /// `is_valid` always closes its connection.
    ///
    /// ```
    /// use cabrank::Fault;
    /// use cabrank_r2d2::R2d2Manager;
    /// use std::io::ErrorKind;
    /// # struct Numbers;
    /// # impl r2d2::ManageConnection for Numbers {
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self) -> Result<u32, std::io::Error> { Ok(7) }
    /// #     fn is_valid(&self, _: &mut u32) -> Result<(), std::io::Error> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// # }
    ///
    /// // A refused log-in is permanent: waiters get the error at once.
    /// let manager = R2d2Manager::new(Numbers).fault(|error| match error.kind() {
    ///     ErrorKind::PermissionDenied => Fault::Permanent,
    ///     _ => Fault::Unavailable,
    /// });
    /// # let _ = manager;
    /// ```
    pub fn fault(mut self, fault: impl Fn(&M::Error) -> Fault + Send + Sync + 'static) -> Self {
        self.fault = Some(Box::new(fault));
        self
    }

    fn told<T>(&self, result: Result<T, M::Error>) -> Result<T, DriverError> {
        result.map_err(|error| {
            let fault = self.fault.as_ref().map_or(Fault::Statement, |fault| fault(&error));
            DriverError { text: error.to_string(), fault }
        })
    }
}

impl<M: ManageConnection> Manager for R2d2Manager<M> {
    type Connection = M::Connection;
    type Error = DriverError;

    fn connect(&self, _: &Limit) -> Result<M::Connection, DriverError> {
        self.told(self.manager.connect())
    }

    fn is_valid(&self, conn: &mut M::Connection, _: &Limit) -> Result<(), DriverError> {
        self.told(self.manager.is_valid(conn))
    }

    /// Called in [`session`](Self::session), once a loan, because some managers query the server here.
    fn has_broken(&self, _: &mut M::Connection) -> bool {
        false
    }

    fn session(&self, conn: &mut M::Connection) -> SessionState {
        // The cleaner comes first: a session that it can clean is not broken, though the manager may call it so.
        match self.cleaner.as_ref().map(|cleaner| (cleaner.look)(conn)) {
            None | Some(SessionState::Clean) if self.manager.has_broken(conn) => SessionState::InDoubt,
            None => SessionState::Clean,
            Some(state) => state,
        }
    }

    fn reset(&self, conn: &mut M::Connection, _: &Limit) -> Result<(), DriverError> {
        let Some(cleaner) = &self.cleaner else { return Ok(()) };
        (cleaner.clean)(conn).map_err(|error| DriverError { text: error.to_string(), fault: Fault::Statement })
    }

    /// A hook may leave a transaction open on purpose, as for tests.
    fn check_set_up(&self, _: &mut M::Connection, _: &Limit) -> Result<SessionState, DriverError> {
        Ok(SessionState::Unknown)
    }

    fn fault(&self, error: &DriverError) -> Fault {
        error.fault
    }
}

impl<M: ManageConnection> fmt::Debug for R2d2Manager<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("R2d2Manager").field("cleans", &self.cleaner.is_some()).finish_non_exhaustive()
    }
}

/// The text of the manager's error, and its meaning. r2d2 does not require that the error itself can be sent to another thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverError {
    text: String,
    fault: Fault,
}

#[cfg(feature = "diesel")]
impl DriverError {
    /// An error without information about the server.
    pub(crate) fn of(error: impl Error) -> Self {
        Self { text: error.to_string(), fault: Fault::Statement }
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for DriverError {}
