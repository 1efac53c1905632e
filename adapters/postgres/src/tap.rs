//! The part of a connection's stream that others share: the state of its socket, and the record of its traffic.
//!
//! `stream.rs` polls; `tracker` derives the session's state from the record.

use crate::schema::SchemaChanges;
use crate::socket::SocketState;
use crate::tracker::{End, Tracker};
use cabrank::SessionState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One connection's tap. Shared by the stream, which the driver owns, the connection, and its abort handle.
pub(crate) struct Tap {
    pub(crate) socket: SocketState,
    tracker: Mutex<Tracker>,
    changes: SchemaChanges,
}

impl Tap {
    pub(crate) fn new(changes: SchemaChanges) -> Self {
        Self { socket: SocketState::default(), tracker: Mutex::new(Tracker::new()), changes }
    }

    /// That of a second connection, which sends a cancel.
    pub(crate) fn aside() -> Arc<Self> {
        Arc::new(Self::new(SchemaChanges::default()))
    }

    /// These bytes have come from the server.
    pub(crate) fn read(&self, bytes: &[u8]) {
        let mut tracker = self.tracker();
        tracker.read(bytes);
        if tracker.takes_stale() {
            self.changes.noticed();
        }
    }

    /// Another connection attempt begins, at the next address: resets the record of the last stream, but keeps an abort.
    pub(crate) fn restart(&self) {
        *self.tracker() = Tracker::new();
        self.socket.restart();
    }

    /// No further query is possible on this connection.
    pub(crate) fn is_over(&self) -> bool {
        self.socket.is_over() || self.tracker().end().is_some()
    }

    /// The known state of the session. Unread answers may change it to anything.
    pub(crate) fn session(&self, transaction_only: bool) -> SessionState {
        if self.socket.is_held_up() { SessionState::Unknown } else { self.tracker().session(transaction_only) }
    }

    /// Whether a holder has requested something and not read it to its end.
    pub(crate) fn has_unread(&self) -> bool {
        self.socket.is_held_up() || self.tracker().is_busy()
    }

    /// The SQLSTATE with which the server ended the session.
    pub(crate) fn fatal(&self) -> Option<[u8; 5]> {
        match self.tracker().end() {
            Some(End::Fatal(code)) => Some(code),
            _ => None,
        }
    }

    pub(crate) fn tracker(&self) -> MutexGuard<'_, Tracker> {
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
