//! Whether a holder changed the session, without a query to SQLite.
//!
//! SQLite calls the authorizer while it prepares a statement, so every `PRAGMA`, `ATTACH` and temporary object passes through it before
//! it can take effect: SQL has no other way to change a session. The driver's methods are the only other way; those that set hooks show
//! in the number of references to the watch.

use crate::hooks;
use crate::hooks::Authorizer;
use crate::watch::{Phase, Trace, Watch};
use rusqlite::Connection;
use std::fmt;
use std::sync::{Arc, Weak};

/// The changes of one connection's holders to its session since the last reset.
pub(crate) struct Tracker {
    /// Shared with the hooks inside the driver, each of which keeps one reference: rusqlite drops a replaced hook, so the number of
    /// references shows whether all of them are still in place.
    watch: Arc<Watch>,
    authorizer: Weak<()>,
    /// The number of references while no hook was replaced.
    references: usize,
}

impl Tracker {
    /// Starts tracking `conn`, in the phase [`Opening`](Phase::Opening). Replaces any hooks it has.
    pub(crate) fn install(conn: &mut Connection, authorizer: Option<&Authorizer>) -> rusqlite::Result<Self> {
        let watch = Arc::new(Watch::default());
        let authorizer = hooks::install(conn, &watch, authorizer)?;
        let references = Arc::strong_count(&watch);
        Ok(Self { watch, authorizer, references })
    }

    /// Treats the current hooks as the manager's. Returns whether the session can still be tracked.
    pub(crate) fn adopt_hooks(&mut self) -> bool {
        self.references = Arc::strong_count(&self.watch);
        self.authorizer.strong_count() > 0
    }

    /// Whether `with_init` set hooks. They could not be set again.
    pub(crate) fn has_adopted(&self) -> bool {
        self.references < ALL
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.watch.enter(phase);
    }

    /// Runs the adapter's own `work` on a connection that is otherwise lent.
    pub(crate) fn unwatched<T>(&self, work: impl FnOnce() -> T) -> T {
        self.enter(Phase::Ours);
        let result = work();
        self.enter(Phase::Lent);
        result
    }

    pub(crate) fn mark(&self, trace: Trace) {
        self.watch.mark(trace);
    }

    /// Whether a holder has prepared a statement since the last call.
    pub(crate) fn takes_prepared(&self) -> bool {
        self.watch.takes_prepared()
    }

    /// The pragma that a holder was refused since the last call.
    pub(crate) fn takes_refused(&self) -> Option<&'static str> {
        self.watch.takes_refused()
    }

    /// The changes seen since [`forget`](Self::forget).
    pub(crate) fn traces(&self) -> Trace {
        self.watch.traces()
    }

    /// All changes seen so far are undone.
    pub(crate) fn forget(&self) {
        self.watch.forget();
    }

    /// Whether all of the holder's changes are known. They are not if its own hook has replaced one of ours.
    pub(crate) fn is_whole(&self) -> bool {
        Arc::strong_count(&self.watch) == self.references
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker").field("traces", &self.traces()).field("whole", &self.is_whole()).finish()
    }
}

/// The references of the tracker itself and of five hooks.
const ALL: usize = 6;
