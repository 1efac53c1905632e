//! The user's own code that a pool runs: outside the lock, and a panic stays inside. `on_open` runs in `session.rs`.

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
    /// One look in each loan shows that there are none.
    pub(crate) of_loans: Option<Box<LoanHooks<M>>>,
    pub(crate) events: Vec<Arc<dyn EventHandler>>,
    /// Where the closures of tasks run, if not on threads of the pool's own.
    pub(crate) spawn: Option<Box<dyn Spawn>>,
    #[cfg(feature = "tracing")]
    pub(crate) tracing: crate::trace::Tracing,
}

/// Each by itself, for a destructor may panic while another's panic is on its way.
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

/// What runs in the borrower's thread.
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
    /// How many loans of the connection ended before this one.
    pub uses: u64,
    /// How long the connection had been idle when this loan began.
    pub idle_for: Duration,
    /// When this loan began.
    pub lent_at: Instant,
}

/// What [`Builder::on_checkout`](crate::Builder::on_checkout) and [`Builder::on_return`](crate::Builder::on_return) decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// The connection goes on.
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
    /// What an error means: the user's word counts more than the manager's. The manager gets to see each error, for it may learn
    /// from them. `None`: the manager panicked, and the user says nothing.
    pub(crate) fn fault(&self, error: &M::Error) -> Option<Fault> {
        let fault = contained(|| self.manager.fault(error)).ok();
        let classify = self.hooks.classify.as_ref();
        let classified = classify.and_then(|classify| contained(|| classify(error)).ok().flatten());
        classified.or(fault)
    }

    /// What an error of a closure means: the driver's own in its chain of sources, or else a source that the manager knows. `None`: there
    /// is none. A panic of the manager's counts as a fatal error. `classify` cannot see a hidden error, and might judge it otherwise: where
    /// there is one, a source says no more than that the transaction may run again.
    pub(crate) fn fault_of_any(&self, error: &(dyn Error + 'static)) -> Option<Fault> {
        let chain = || std::iter::successors(Some(error), |&error| error.source());
        match chain().find_map(|error| error.downcast_ref::<M::Error>()) {
            Some(driver) => Some(self.fault(driver).unwrap_or(Fault::Fatal)),
            None => contained(|| chain().find_map(|error| self.manager.fault_of_source(error)))
                .unwrap_or(Some(Fault::Fatal))
                .filter(|fault| *fault == Fault::Retry || self.hooks.classify.is_none()),
        }
    }

    /// Has a hook judge the connection of a loan, in the borrower's thread. `Err`: it panicked.
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
