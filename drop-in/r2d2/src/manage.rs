//! The traits that an application implements: the manager, and handlers of errors and connections.

use std::error::Error;
use std::fmt;

/// Opens and checks connections of one kind.
///
/// No method runs under the pool's lock. `connect` and `is_valid` run in worker threads, `has_broken` in the thread that returns a
/// connection. A panic counts as a failure of the call, and closes the connection.
///
/// ```
/// use r2d2::{ManageConnection, Pool};
/// use std::io;
///
/// struct Numbers;
///
/// impl ManageConnection for Numbers {
///     type Connection = u32;
///     type Error = io::Error;
///     fn connect(&self) -> io::Result<u32> {
///         Ok(7)
///     }
///     fn is_valid(&self, _: &mut u32) -> io::Result<()> {
///         Ok(())
///     }
///     fn has_broken(&self, _: &mut u32) -> bool {
///         false
///     }
/// }
///
/// let pool = Pool::new(Numbers)?;
/// assert_eq!(*pool.get()?, 7);
/// # Ok::<(), r2d2::Error>(())
/// ```
pub trait ManageConnection: Send + Sync + 'static {
    /// The connection that is lent.
    type Connection: Send + 'static;

    /// The error of `connect` and `is_valid`.
    type Error: Error + 'static;

    /// Opens a connection.
    fn connect(&self) -> Result<Self::Connection, Self::Error>;

    /// Checks that the server responds, by one round trip. An error closes the connection.
    fn is_valid(&self, conn: &mut Self::Connection) -> Result<(), Self::Error>;

    /// Returns whether the connection is unusable. Called once a loan, at its end. `true` closes the connection. Must not block.
    fn has_broken(&self, conn: &mut Self::Connection) -> bool;
}

/// Receives the errors of `connect`, `is_valid` and `on_acquire`, in the worker thread in which they occurred.
pub trait HandleError<E>: fmt::Debug + Send + Sync + 'static {
    /// Receives one error.
    fn handle_error(&self, error: E);
}

/// Ignores all errors.
#[derive(Copy, Clone, Debug)]
pub struct NopErrorHandler;

impl<E> HandleError<E> for NopErrorHandler {
    fn handle_error(&self, _: E) {}
}

/// Logs each error by the `log` crate, at level `error`. The default.
#[derive(Copy, Clone, Debug)]
pub struct LoggingErrorHandler;

impl<E: Error> HandleError<E> for LoggingErrorHandler {
    fn handle_error(&self, error: E) {
        log::error!("{error}");
    }
}

/// Sets up new connections, and receives those that leave the pool. Both methods run in worker threads.
///
/// ```
/// use r2d2::{CustomizeConnection, Pool};
/// # struct Numbers;
/// # impl r2d2::ManageConnection for Numbers {
/// #     type Connection = u32;
/// #     type Error = std::io::Error;
/// #     fn connect(&self) -> Result<u32, std::io::Error> { Ok(7) }
/// #     fn is_valid(&self, _: &mut u32) -> Result<(), std::io::Error> { Ok(()) }
/// #     fn has_broken(&self, _: &mut u32) -> bool { false }
/// # }
///
/// #[derive(Debug)]
/// struct Twice;
///
/// impl CustomizeConnection<u32, std::io::Error> for Twice {
///     fn on_acquire(&self, conn: &mut u32) -> Result<(), std::io::Error> {
///         *conn *= 2;
///         Ok(())
///     }
/// }
///
/// let pool = Pool::builder().connection_customizer(Box::new(Twice)).build(Numbers)?;
/// assert_eq!(*pool.get()?, 14);
/// # Ok::<(), r2d2::Error>(())
/// ```
pub trait CustomizeConnection<C, E>: fmt::Debug + Send + Sync + 'static {
    /// Sets up a new connection. An error closes it and counts as an error of `connect`. The default does nothing.
    fn on_acquire(&self, conn: &mut C) -> Result<(), E> {
        let _ = conn;
        Ok(())
    }

    /// Receives a connection that has left the pool, whether it works or not. The default drops it.
    fn on_release(&self, conn: C) {
        drop(conn);
    }
}

/// Changes nothing.
#[derive(Copy, Clone, Debug)]
pub struct NopConnectionCustomizer;

impl<C, E> CustomizeConnection<C, E> for NopConnectionCustomizer {}
