//! The settings of a pool, for as long as it lives.

use crate::event::{HandleEvent, NopEventHandler};
use crate::manage::{CustomizeConnection, HandleError};
use cabrank::SessionState;
use std::error::Error;
use std::fmt;
use std::time::Duration;

pub(crate) struct Config<C, E> {
    pub(crate) max_size: u32,
    pub(crate) min_idle: Option<u32>,
    pub(crate) test_on_check_out: bool,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) connection_timeout: Duration,
    pub(crate) error_handler: Box<dyn HandleError<E>>,
    /// `None`: there is no handler, and no loan reads the clock for an event.
    pub(crate) event_handler: Option<Box<dyn HandleEvent>>,
    pub(crate) connection_customizer: Box<dyn CustomizeConnection<C, E>>,
    pub(crate) cleaner: Option<Cleaner<C>>,
}

/// How a session is cleaned between two holders. See [`Builder::clean`](crate::Builder::clean).
pub(crate) struct Cleaner<C> {
    pub(crate) look: Box<dyn Fn(&mut C) -> SessionState + Send + Sync>,
    pub(crate) clean: Box<dyn Fn(&mut C) -> Result<(), Box<dyn Error + Send + Sync>> + Send + Sync>,
}

impl<C, E> Config<C, E> {
    /// The number of connections that `build` waits for, and that the pool keeps ready.
    pub(crate) fn ready(&self) -> u32 {
        self.min_idle.unwrap_or(self.max_size)
    }
}

impl<C, E> fmt::Debug for Config<C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event_handler: &dyn HandleEvent = self.event_handler.as_deref().unwrap_or(&NopEventHandler);
        f.debug_struct("Config")
            .field("max_size", &self.max_size)
            .field("min_idle", &self.min_idle)
            .field("test_on_check_out", &self.test_on_check_out)
            .field("max_lifetime", &self.max_lifetime)
            .field("idle_timeout", &self.idle_timeout)
            .field("connection_timeout", &self.connection_timeout)
            .field("error_handler", &self.error_handler)
            .field("event_handler", &event_handler)
            .field("connection_customizer", &self.connection_customizer)
            .finish_non_exhaustive()
    }
}
