//! Whether the holder cancelled a statement in its loan: the connection is then not lent again.

use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by the tokens of one loan and the connection. Each side sets its own flag before it reads the other's, so at least one of them
/// sees the other.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// A cancellation was sent: it may hit any statement.
    cancelled: AtomicBool,
    /// The loan is over.
    over: AtomicBool,
}

impl Tokens {
    /// Marks a token as used. Returns whether the loan still goes on: only then may a cancellation be sent.
    pub(crate) fn spend(&self) -> bool {
        self.cancelled.store(true, Ordering::SeqCst);
        !self.over.load(Ordering::SeqCst)
    }

    pub(crate) fn was_used(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// Ends the tokens. Returns whether one was used.
    pub(crate) fn end(&self) -> bool {
        self.over.store(true, Ordering::SeqCst);
        self.was_used()
    }
}
