//! Whether a holder changed the session, without asking SQLite.
//!
//! SQLite calls the authorizer while it prepares a statement, so every `PRAGMA`, `ATTACH` and temporary object passes
//! through there before it can take effect: SQL has no other way to change a session. What else changes one are the driver's
//! methods; those that set hooks show in the number of references to the watch.

use crate::hooks;
use crate::hooks::Authorizer;
use crate::watch::{Phase, Trace, Watch};
use rusqlite::Connection;
use std::fmt;
use std::sync::{Arc, Weak};

/// What the holders of one connection have done to its session since the last reset.
pub(crate) struct Tracker {
    /// Shared with the hooks inside the driver, each of which keeps one reference: rusqlite drops a hook when it is
    /// replaced, so the number of references tells whether all of them are still in place.
    watch: Arc<Watch>,
    authorizer: Weak<()>,
    /// How many references there are while nobody has replaced a hook.
    references: usize,
}

impl Tracker {
    /// Starts watching `conn`, in the phase [`Opening`](Phase::Opening). Any hooks it has are replaced.
    pub(crate) fn install(conn: &mut Connection, authorizer: Option<&Authorizer>) -> rusqlite::Result<Self> {
        let watch = Arc::new(Watch::default());
        let authorizer = hooks::install(conn, &watch, authorizer)?;
        let references = Arc::strong_count(&watch);
        Ok(Self { watch, authorizer, references })
    }

    /// Takes the hooks that are there now for the manager's. Returns whether the session can still be watched.
    pub(crate) fn adopt_hooks(&mut self) -> bool {
        self.references = Arc::strong_count(&self.watch);
        self.authorizer.strong_count() > 0
    }

    /// Has `with_init` set hooks? They could not be set again.
    pub(crate) fn has_adopted(&self) -> bool {
        self.references < ALL
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.watch.enter(phase);
    }

    /// Runs `work` of the adapter itself on a connection that is otherwise lent.
    pub(crate) fn unwatched<T>(&self, work: impl FnOnce() -> T) -> T {
        self.enter(Phase::Ours);
        let result = work();
        self.enter(Phase::Lent);
        result
    }

    pub(crate) fn mark(&self, trace: Trace) {
        self.watch.mark(trace);
    }

    /// Has a holder had a statement prepared since this was last asked?
    pub(crate) fn takes_prepared(&self) -> bool {
        self.watch.takes_prepared()
    }

    /// The pragma that a holder was refused since this was last asked.
    pub(crate) fn takes_refused(&self) -> Option<&'static str> {
        self.watch.takes_refused()
    }

    /// What was seen since [`forget`](Self::forget).
    pub(crate) fn traces(&self) -> Trace {
        self.watch.traces()
    }

    /// Everything seen so far has been undone.
    pub(crate) fn forget(&self) {
        self.watch.forget();
    }

    /// Is everything the holder did known? Not if a hook of its own has taken the place of one of ours.
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
