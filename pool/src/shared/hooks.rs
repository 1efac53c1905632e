//! User code that a pool runs: outside the lock, with panics contained. `on_open` runs in `session.rs`.

use super::{SetUp, Shared, SlottedConnection};
use crate::contain::contained;
use crate::entry::Entry;
use crate::event::EventHandler;
use crate::manager::{Fault, Manager};
use crate::spawn::Spawn;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct Hooks<M: Manager> {
    pub(crate) on_open: Option<OnOpen<M>>,
    pub(crate) classify: Option<Classify<M>>,
    /// One pointer, so that each loan makes a single test for hooks.
    pub(crate) of_loans: Option<Box<LoanHooks<M>>>,
    pub(crate) events: Vec<Arc<dyn EventHandler>>,
    /// Where the closures of tasks run, if not on the pool's own threads.
    pub(crate) spawn: Option<Box<dyn Spawn>>,
    #[cfg(feature = "tracing")]
    pub(crate) tracing: crate::trace::Tracing,
}

/// Drops each separately, because a destructor may panic while another panic unwinds.
impl<M: Manager> Drop for Hooks<M> {
    fn drop(&mut self) {
        let _ = contained(|| drop(self.on_open.take()));
        let _ = contained(|| drop(self.classify.take()));
        let _ = contained(|| drop(self.spawn.take()));
        if let Some(mut hooks) = self.of_loans.take() {
            let _ = contained(|| drop(hooks.on_checkout.take()));
            let _ = contained(|| drop(hooks.on_return.take()));
        }
        for handler in self.events.drain(..) {
            let _ = contained(|| drop(handler));
        }
    }
}

type OnOpen<M> =
    Box<dyn Fn(&mut <M as Manager>::Connection, &SetUp<'_>) -> Result<(), <M as Manager>::Error> + Send + Sync>;
type Classify<M> = Box<dyn Fn(&<M as Manager>::Error) -> Option<Fault> + Send + Sync>;
type LoanHook<M> = Box<dyn Fn(&mut <M as Manager>::Connection, &Loan) -> Verdict + Send + Sync>;

/// The hooks that run in the caller's thread.
pub(crate) struct LoanHooks<M: Manager> {
    pub(crate) on_checkout: Option<LoanHook<M>>,
    pub(crate) on_return: Option<LoanHook<M>>,
}

/// A loan that begins or ends, for [`Builder::on_checkout`](crate::Builder::on_checkout) and
/// [`Builder::on_return`](crate::Builder::on_return).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loan {
    /// The connection's number in its pool.
    pub id: u64,
    /// When the connection was opened.
    pub opened_at: Instant,
    /// How many earlier loans the connection has had.
    pub uses: u64,
    /// How long the connection had been idle when this loan began.
    pub idle_for: Duration,
    /// When this loan began.
    pub lent_at: Instant,
}

/// The decision of [`Builder::on_checkout`](crate::Builder::on_checkout) and [`Builder::on_return`](crate::Builder::on_return).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// The pool keeps the connection.
    Keep,
    /// The pool closes it ([`CloseReason::Refused`](crate::CloseReason::Refused)).
    Close,
}

impl<M: Manager> Default for LoanHooks<M> {
    fn default() -> Self {
        Self { on_checkout: None, on_return: None }
    }
}

impl<M: Manager> Default for Hooks<M> {
    fn default() -> Self {
        Self {
            on_open: None,
            classify: None,
            of_loans: None,
            events: Vec::new(),
            spawn: None,
            #[cfg(feature = "tracing")]
            tracing: crate::trace::Tracing::default(),
        }
    }
}

impl<M: Manager> Shared<M> {
    /// The meaning of an error: the user's `classify` takes precedence over the manager. The manager sees each error, because it may
    /// learn from it. `None`: the manager panicked, and `classify` returned nothing.
    pub(crate) fn fault(&self, error: &M::Error) -> Option<Fault> {
        let fault = contained(|| self.manager.fault(error)).ok();
        let classify = self.hooks.classify.as_ref();
        let classified = classify.and_then(|classify| contained(|| classify(error)).ok().flatten());
        classified.or(fault)
    }

    /// The meaning of a closure's error: by the driver's error in its chain of sources, or else by a source that the manager recognizes.
    /// `None`: neither was found. A panic of the manager counts as a fatal error. `classify` cannot see a hidden error, and might judge
    /// it differently: if there is one, a source can only make the transaction run again.
    pub(crate) fn fault_of_any(&self, error: &(dyn Error + 'static)) -> Option<Fault> {
        let chain = || std::iter::successors(Some(error), |&error| error.source());
        match chain().find_map(|error| error.downcast_ref::<M::Error>()) {
            Some(driver) => Some(self.fault(driver).unwrap_or(Fault::Fatal)),
            None => contained(|| chain().find_map(|error| self.manager.fault_of_source(error)))
                .unwrap_or(Some(Fault::Fatal))
                .filter(|fault| *fault == Fault::Retry || self.hooks.classify.is_none()),
        }
    }

    /// Calls a hook for the connection of a loan, in the caller's thread. `Err`: it panicked.
    pub(crate) fn judge(&self, hook: &LoanHook<M>, entry: &mut Entry<SlottedConnection<M>>) -> Result<Verdict, String> {
        let loan = Loan {
            id: entry.id,
            opened_at: entry.opened_at,
            uses: entry.uses,
            idle_for: entry.lent_at.saturating_duration_since(entry.last_used),
            lent_at: entry.lent_at,
        };
        let conn = &mut entry.slotted.conn;
        self.workers.run_here(|| contained(|| hook(conn, &loan)))
    }
}
