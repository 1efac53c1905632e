//! The requests that the service has under way and those it has completed, whether or not a client still waits for them.

use std::sync::atomic::{AtomicU64, Ordering};

static PENDING: AtomicU64 = AtomicU64::new(0);
static FINISHED: AtomicU64 = AtomicU64::new(0);

/// Accompanies a request from its handler into the work on a connection, until nothing more is done for it.
pub struct Ticket(());

impl Ticket {
    pub fn new() -> Self {
        PENDING.fetch_add(1, Ordering::SeqCst);
        Self(())
    }

    /// The request's queries have run to their end.
    pub fn finish(self) {
        FINISHED.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        PENDING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The requests under way, and those whose queries ran to their end.
pub fn told() -> String {
    format!("{} {}", PENDING.load(Ordering::SeqCst), FINISHED.load(Ordering::SeqCst))
}
