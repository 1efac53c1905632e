//! The manager behind a pool of this crate: maps `cabrank`'s calls to r2d2's.

use crate::config::Config;
use crate::event::{AcquireEvent, CheckinEvent, ReleaseEvent};
use crate::extensions::Extensions;
use crate::manage::ManageConnection;
use cabrank::{Limit, Manager, SessionState};
use std::error::Error;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Adapts an r2d2 manager for `cabrank`: see [`Pool::cabrank`](crate::Pool::cabrank).
pub struct Adapted<M: ManageConnection>(pub(crate) Arc<Shared<M>>);

/// Shared by the pool, its manager and its connections.
pub(crate) struct Shared<M: ManageConnection> {
    pub(crate) manager: M,
    pub(crate) config: Config<M::Connection, M::Error>,
}

/// A connection with this crate's own data.
pub struct Conn<M: ManageConnection> {
    /// `None` only while it is dropped.
    conn: Option<M::Connection>,
    pub(crate) extensions: Extensions,
    pub(crate) id: u64,
    opened_at: Instant,
    shared: Arc<Shared<M>>,
}

/// The text of a driver's error. The error itself went to the [error handler](crate::HandleError).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverError(String);

impl<M: ManageConnection> Adapted<M> {
    /// Passes an error to the error handler, which may keep it: r2d2 does not require that errors can be sent to other threads.
    fn tell<T>(&self, result: Result<T, M::Error>) -> Result<T, DriverError> {
        result.map_err(|error| {
            let text = error.to_string();
            self.0.config.error_handler.handle_error(error);
            DriverError(text)
        })
    }
}

impl<M: ManageConnection> Manager for Adapted<M> {
    type Connection = Conn<M>;
    type Error = DriverError;

    fn connect(&self, _: &Limit) -> Result<Conn<M>, DriverError> {
        let Shared { manager, config } = &*self.0;
        let mut conn = self.tell(manager.connect())?;
        self.tell(config.connection_customizer.on_acquire(&mut conn))?;
        Ok(Conn::new(conn, &self.0))
    }

    fn is_valid(&self, conn: &mut Conn<M>, _: &Limit) -> Result<(), DriverError> {
        self.tell(self.0.manager.is_valid(conn.get_mut()))
    }

    /// Called in [`session`](Self::session), once a loan, because some managers query the server here.
    fn has_broken(&self, _: &mut Conn<M>) -> bool {
        false
    }

    fn session(&self, conn: &mut Conn<M>) -> SessionState {
        let Shared { manager, config } = &*self.0;
        let conn = conn.get_mut();
        let cleaner = config.cleaner.as_ref();
        // The cleaner comes first: a session that it can clean is not broken, though a manager may call it so.
        match cleaner.map(|cleaner| (cleaner.look)(conn)) {
            None | Some(SessionState::Clean) if manager.has_broken(conn) => SessionState::InDoubt,
            None => SessionState::Clean,
            Some(state) => state,
        }
    }

    fn reset(&self, conn: &mut Conn<M>, _: &Limit) -> Result<(), DriverError> {
        let Some(cleaner) = &self.0.config.cleaner else { return Ok(()) };
        (cleaner.clean)(conn.get_mut()).map_err(|error| DriverError(error.to_string()))
    }

    /// A customizer may leave a transaction open on purpose, as for tests.
    fn check_set_up(&self, _: &mut Conn<M>, _: &Limit) -> Result<SessionState, DriverError> {
        Ok(SessionState::Unknown)
    }
}

impl<M: ManageConnection> Conn<M> {
    fn new(conn: M::Connection, shared: &Arc<Shared<M>>) -> Self {
        // One count for all pools: an application may use it to distinguish the connections of several pools.
        static IDS: AtomicU64 = AtomicU64::new(0);
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        if let Some(events) = &shared.config.event_handler {
            events.handle_acquire(AcquireEvent { id });
        }
        let (extensions, shared) = (Extensions::new(), Arc::clone(shared));
        Self { conn: Some(conn), extensions, id, opened_at: Instant::now(), shared }
    }

    /// A loan that has lasted for `duration` ends.
    pub(crate) fn tell_checkin(&self, duration: Duration) {
        if let Some(events) = &self.shared.config.event_handler {
            events.handle_checkin(CheckinEvent { id: self.id, duration });
        }
    }

    pub(crate) fn get(&self) -> &M::Connection {
        self.conn.as_ref().expect(OPEN)
    }

    pub(crate) fn get_mut(&mut self) -> &mut M::Connection {
        self.conn.as_mut().expect(OPEN)
    }
}

/// For [`run_async`](cabrank::Pool::run_async) and its variants, which lend the connection itself and not r2d2's guard.
impl<M: ManageConnection> Deref for Conn<M> {
    type Target = M::Connection;

    fn deref(&self) -> &M::Connection {
        self.get()
    }
}

impl<M: ManageConnection> DerefMut for Conn<M> {
    fn deref_mut(&mut self) -> &mut M::Connection {
        self.get_mut()
    }
}

/// The end of a connection, however it comes: a worker drops it.
impl<M: ManageConnection> Drop for Conn<M> {
    fn drop(&mut self) {
        let Config { event_handler, connection_customizer, .. } = &self.shared.config;
        if let Some(events) = event_handler {
            events.handle_release(ReleaseEvent { id: self.id, age: self.opened_at.elapsed() });
        }
        if let Some(conn) = self.conn.take() {
            connection_customizer.on_release(conn);
        }
    }
}

impl<M: ManageConnection> fmt::Debug for Adapted<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapted").finish_non_exhaustive()
    }
}

impl<M: ManageConnection> fmt::Debug for Conn<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for DriverError {}

const OPEN: &str = "a connection is there until it is dropped";
