//! Events of a pool, and their receiver.

use std::fmt;
use std::time::Duration;

/// Receives the events of a pool. Each method does nothing by default.
///
/// The events of one connection arrive in the order of its life, and all have the same number, which is unique in the process.
pub trait HandleEvent: fmt::Debug + Sync + Send {
    /// A connection was opened and set up. In a worker thread.
    fn handle_acquire(&self, event: AcquireEvent) {
        let _ = event;
    }

    /// A connection has left the pool. In a worker thread.
    fn handle_release(&self, event: ReleaseEvent) {
        let _ = event;
    }

    /// A connection is lent. In the thread of the borrower.
    fn handle_checkout(&self, event: CheckoutEvent) {
        let _ = event;
    }

    /// A request has ended without a connection. In the thread of the request.
    fn handle_timeout(&self, event: TimeoutEvent) {
        let _ = event;
    }

    /// A loan ends. In the thread that drops the connection.
    fn handle_checkin(&self, event: CheckinEvent) {
        let _ = event;
    }
}

/// Ignores all events. The default.
#[derive(Copy, Clone, Debug)]
pub struct NopEventHandler;

impl HandleEvent for NopEventHandler {}

/// See [`HandleEvent::handle_acquire`].
#[derive(Debug)]
pub struct AcquireEvent {
    pub(crate) id: u64,
}

impl AcquireEvent {
    /// The connection's number.
    pub fn connection_id(&self) -> u64 {
        self.id
    }
}

/// See [`HandleEvent::handle_release`].
#[derive(Debug)]
pub struct ReleaseEvent {
    pub(crate) id: u64,
    pub(crate) age: Duration,
}

impl ReleaseEvent {
    /// The connection's number.
    pub fn connection_id(&self) -> u64 {
        self.id
    }

    /// How long the connection was open.
    pub fn age(&self) -> Duration {
        self.age
    }
}

/// See [`HandleEvent::handle_checkout`].
#[derive(Debug)]
pub struct CheckoutEvent {
    pub(crate) id: u64,
    pub(crate) duration: Duration,
}

impl CheckoutEvent {
    /// The connection's number.
    pub fn connection_id(&self) -> u64 {
        self.id
    }

    /// How long the request took.
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

/// See [`HandleEvent::handle_timeout`].
#[derive(Debug)]
pub struct TimeoutEvent {
    pub(crate) timeout: Duration,
}

impl TimeoutEvent {
    /// The time-out of the request, as it was set.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// See [`HandleEvent::handle_checkin`].
#[derive(Debug)]
pub struct CheckinEvent {
    pub(crate) id: u64,
    pub(crate) duration: Duration,
}

impl CheckinEvent {
    /// The connection's number.
    pub fn connection_id(&self) -> u64 {
        self.id
    }

    /// How long the connection was lent.
    pub fn duration(&self) -> Duration {
        self.duration
    }
}
