//! Was what ran in a loan cancelled by its holder? Then the connection is not lent again.

use std::sync::atomic::{AtomicBool, Ordering};

/// What the tokens of one loan share with the connection. Each side writes its own word before it reads the other's, so that
/// one of the two notices.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// A cancellation was sent: nobody can say which statement it hits.
    cancelled: AtomicBool,
    /// The loan is over.
    over: AtomicBool,
}

impl Tokens {
    /// One is being used. Returns whether the loan still goes on: only then may a cancellation be sent.
    pub(crate) fn spend(&self) -> bool {
        self.cancelled.store(true, Ordering::SeqCst);
        !self.over.load(Ordering::SeqCst)
    }

    pub(crate) fn was_used(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// Ends their use. Was one used before?
    pub(crate) fn end(&self) -> bool {
        self.over.store(true, Ordering::SeqCst);
        self.was_used()
    }
}
