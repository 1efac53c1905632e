//! Cancelling a holder's statement from another thread, for as long as its loan lasts.
//!
//! Owns the synchronization between a cancel and the end of the loan. The manager sends the request.

use super::{Job, Shared};
use crate::contain::contained;
use crate::limit::Limit;
use crate::manager::{AbortHandle, Manager};
use crate::seeded;
use crate::sync;
use crate::sync::{Mutex, after};
use crate::waiter::{Waiter, Wake};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Cancels the statement that runs on a connection, from any thread, for as long as the loan lasts. See
/// [`PooledConnection::canceller`](crate::PooledConnection::canceller).
///
/// All clones, and all cancellers of one loan, are the same. A canceller keeps neither the connection nor the pool alive.
///
/// ```
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
/// # let pool = Pool::builder().build(Toy)?;
/// use cabrank::{CancelOutcome, CloseReason, PooledConnection};
/// use std::time::Duration;
///
/// let conn = pool.get()?;
/// let canceller = PooledConnection::canceller(&conn).expect("this manager offers abort handles");
/// assert_eq!(canceller.cancel(Duration::from_secs(5)), CancelOutcome::Asked); // From any thread.
/// drop(conn);
/// assert_eq!(pool.stats().closed.by(CloseReason::Cancelled), 1);
/// assert_eq!(canceller.cancel(Duration::from_secs(5)), CancelOutcome::LoanEnded);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Canceller(Arc<Loan>);

/// The outcome of [`Canceller::cancel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelOutcome {
    /// The request was sent. A running statement fails soon, with the driver's own error; if it had just ended, nothing happens.
    Asked,
    /// The request could not be sent, or not in time. One that is under way may still arrive.
    NotAsked,
    /// The loan has ended, or the connection was detached. Nothing was done.
    LoanEnded,
}

impl Canceller {
    /// Asks the engine to cancel the statement that runs on the connection now, and waits at most `within` until the request is sent.
    /// (`Duration::MAX` means no limit.) Does not wait for the end of the statement.
    ///
    /// *For a server* a worker sends the request, over a session beyond `max_size`, which takes as long as a log-in. The request may
    /// arrive late, after the statement has ended. The connection is therefore not lent again: it is closed on return
    /// ([`CloseReason::Cancelled`](crate::CloseReason::Cancelled)), even if the request could not be sent. The return never waits for the
    /// cancel.
    ///
    /// *An engine in this process* is interrupted at once, in this thread. The interrupt comes before the end of the loan or not at all,
    /// so the connection is reused.
    ///
    /// After the end of the loan this does nothing. In a child of `fork` it also does nothing, with the same outcome. This blocks its
    /// thread: in an async context use `spawn_blocking`.
    pub fn cancel(&self, within: Duration) -> CancelOutcome {
        match self.0.pool.upgrade() {
            Some(pool) => pool.cancel(self, within),
            None => CancelOutcome::LoanEnded,
        }
    }

    /// Like [`cancel`](Self::cancel), but without a wait.
    pub(crate) fn cancel_later(&self, within: Duration) {
        if let Some(pool) = self.0.pool.upgrade() {
            pool.cancel_later(self, within);
        }
    }

    pub(crate) fn new<M: Manager>(shared: &Arc<Shared<M>>, abort_handle: Arc<dyn AbortHandle>) -> Self {
        let pool: Weak<Shared<M>> = Arc::downgrade(shared);
        Self(Arc::new(Loan { pool, reach: Mutex::new(Some(Reach { abort_handle, was_cancelled: false })) }))
    }

    /// Called before the request to a server. A cancel that begins before the end of the loan condemns the connection; a later one finds
    /// no handle.
    fn begin(&self) -> Option<Arc<dyn AbortHandle>> {
        let looked = seeded::bug("looks_for_the_loan_before_it_condemns_it")
            .then(|| self.0.reach.lock().as_ref().map(|reach| Arc::clone(&reach.abort_handle)));
        let mut reach = self.0.reach.lock();
        let lent = reach.as_mut().map(|reach| {
            reach.was_cancelled = true;
            Arc::clone(&reach.abort_handle)
        });
        looked.unwrap_or(lent)
    }

    /// Interrupts an engine in this process. The end of the loan waits for that, which takes only the setting of a flag.
    pub(crate) fn interrupt(&self, limit: &Limit) -> CancelOutcome {
        let mut reach = self.0.reach.lock();
        let Some(abort_handle) = reach.as_ref().map(|reach| Arc::clone(&reach.abort_handle)) else {
            return CancelOutcome::LoanEnded;
        };
        if seeded::bug("unlocks_before_it_interrupts") {
            drop(reach);
            reach = self.0.reach.lock();
        }
        let outcome = ask(&*abort_handle, limit);
        drop(reach);
        let _ = contained(|| drop(abort_handle));
        outcome
    }

    /// The loan ends: no cancel is sent from here on. Returns whether an earlier one may still arrive.
    pub(crate) fn end(&self) -> bool {
        // The connection's entry has the abort handle, too, so none is dropped here.
        let reach = self.0.reach.lock().take();
        reach.is_some_and(|reach| reach.was_cancelled)
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_ended = self.0.reach.lock().is_none();
        f.debug_struct("Canceller").field("loan_has_ended", &has_ended).finish_non_exhaustive()
    }
}

/// A loan, as its cancellers see it.
struct Loan {
    pool: Weak<dyn AnyPool>,
    /// `None` once the loan has ended.
    reach: Mutex<Option<Reach>>,
}

/// The handle to a lent connection.
struct Reach {
    abort_handle: Arc<dyn AbortHandle>,
    /// A cancel at the server was begun: the connection must not be lent again.
    was_cancelled: bool,
}

/// The loan's pool, independent of its manager.
trait AnyPool: Send + Sync {
    fn cancel(self: Arc<Self>, canceller: &Canceller, within: Duration) -> CancelOutcome;
    fn cancel_later(self: Arc<Self>, canceller: &Canceller, within: Duration);
}

impl<M: Manager> AnyPool for Shared<M> {
    fn cancel(self: Arc<Self>, canceller: &Canceller, within: Duration) -> CancelOutcome {
        if !self.is_at_home() {
            std::mem::forget(self);
            return CancelOutcome::LoanEnded;
        }
        let outcome = match M::REMOTE {
            true => cancel_at_server(&self, canceller, within),
            false => canceller.interrupt(&Limit::of_call(&self.name, sync::now(), within)),
        };
        self.leave_to_worker();
        outcome
    }

    fn cancel_later(self: Arc<Self>, canceller: &Canceller, within: Duration) {
        if M::REMOTE && self.is_at_home() {
            order_cancel(&self, canceller, within, |_| ());
            return self.leave_to_worker();
        }
        // Interrupting an engine takes no time.
        self.cancel(canceller, within);
    }
}

/// Makes a worker send the request, because this thread may not wait longer than `within`, whatever the driver does.
fn cancel_at_server<M: Manager>(shared: &Arc<Shared<M>>, canceller: &Canceller, within: Duration) -> CancelOutcome {
    let (waiter, answer) = (Waiter::new(), Arc::new(Mutex::new(CancelOutcome::NotAsked)));
    let (wake, answered) = (Wake::Thread(Arc::clone(&waiter)), Arc::clone(&answer));
    let deadline = after(sync::now(), within);
    let is_ordered = order_cancel(shared, canceller, within, move |outcome| {
        *answered.lock() = outcome;
        wake.wake();
    });
    if !is_ordered {
        return CancelOutcome::LoanEnded;
    }
    shared.workers.park(&waiter, deadline);
    *answer.lock()
}

/// Orders a worker to send the request, and to pass on the outcome. Returns whether the loan goes on.
fn order_cancel<M: Manager>(
    shared: &Arc<Shared<M>>,
    canceller: &Canceller,
    limit: Duration,
    done: impl FnOnce(CancelOutcome) + Send + 'static,
) -> bool {
    let Some(abort_handle) = canceller.begin() else { return false };
    let ask = Box::new(move |limit: &Limit| {
        done(ask(&*abort_handle, limit));
        drop(abort_handle);
    });
    shared.workers.submit(Job::Cancel { pool: Arc::clone(shared), limit, ask });
    true
}

fn ask(abort_handle: &dyn AbortHandle, limit: &Limit) -> CancelOutcome {
    match contained(|| abort_handle.cancel(limit)) {
        Ok(true) => CancelOutcome::Asked,
        Ok(false) | Err(_) => CancelOutcome::NotAsked,
    }
}
