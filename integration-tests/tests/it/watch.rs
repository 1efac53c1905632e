//! Promise 1, checked in every test on a server: never more than `max_size` sessions at the server, except those that the pool has given
//! up without waiting for the server.

use cabrank::{CloseReason, ConnectionClosed, EventHandler, OpenFailed};
use cabrank_testing::eventually;
use integration_tests::{Census, Database};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Observes the server for the duration of a test, and fails it at the end if there were too many sessions.
pub(crate) struct Watch {
    census: Census,
    allowed: AtomicUsize,
    ledger: Arc<Ledger>,
}

impl Watch {
    /// Begins once the server no longer lists the session in which the database was set up.
    pub(crate) fn new(database: &Database) -> Self {
        eventually("the session of the set-up is gone", || {
            database.sessions().expect("a server that is there").is_empty()
        });
        let census = Census::of(database.server(), database.name());
        Self { census, allowed: AtomicUsize::new(0), ledger: Arc::default() }
    }

    /// Allows this many more: for another pool, or for the test's own sessions.
    pub(crate) fn allow(&self, more: u32) {
        self.allowed.fetch_add(more as usize, Ordering::Relaxed);
    }

    /// Receives the events of the test's pools.
    pub(crate) fn ledger(&self) -> Arc<dyn EventHandler> {
        self.ledger.clone()
    }

    /// The most sessions at one time, so far.
    pub(crate) fn peak(&self) -> usize {
        self.census.seen().peak
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (seen, allowed, gone) =
            (self.census.seen(), *self.allowed.get_mut(), self.ledger.0.load(Ordering::Relaxed));
        if !thread::panicking() {
            assert!(seen.peak <= allowed + gone, "{seen:?}, and only {allowed} were in order and {gone} let go");
        }
    }
}

/// Counts connections aborted or detached, and failed openings, whose sessions the server may have for a moment more.
#[derive(Default)]
struct Ledger(AtomicUsize);

impl EventHandler for Ledger {
    fn closed(&self, event: &ConnectionClosed<'_>) {
        use CloseReason::{Broken, CheckFailed, Detached, Overran, Panicked, ResetFailed};
        if matches!(event.reason, Broken | CheckFailed | Detached | Overran | Panicked | ResetFailed) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn open_failed(&self, _: &OpenFailed<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
