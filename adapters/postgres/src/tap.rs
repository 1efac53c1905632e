//! What a connection's stream shares with the rest: the state of its socket, and the record of what passed over it.
//!
//! Who polls is `stream.rs`; what the record says of the session is for `tracker` to judge.

use crate::schema::SchemaChanges;
use crate::socket::SocketState;
use crate::tracker::{End, Tracker};
use cabrank::SessionState;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

    /// These bytes have come from the server.
    pub(crate) fn read(&self, bytes: &[u8]) {
        let mut tracker = self.tracker();
        tracker.read(bytes);
        if tracker.takes_stale() {
            self.changes.noticed();
        }
    }

    /// Another attempt to connect begins, at the next address: what the last one's stream showed is void. An abort stays.
    pub(crate) fn restart(&self) {
        *self.tracker() = Tracker::new();
        self.socket.restart();
    }

    /// Nothing can be asked of this connection any more.
    pub(crate) fn is_over(&self) -> bool {
        self.socket.is_over() || self.tracker().end().is_some()
    }

    pub(crate) fn session(&self, transaction_only: bool) -> SessionState {
        self.tracker().session(transaction_only)
    }

    /// The SQLSTATE with which the server has ended the session.
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
