//! The borrower's look at the connection that it is about to get: `has_broken`, then `on_checkout`. No round trip, and no lock.

use crate::cause::Cause;
use crate::contain::contained;
use crate::entry::Entry;
use crate::manager::Manager;
use crate::reason::CloseReason;
use crate::shared::{LoanHooks, PoolRef, SlottedConnection, Verdict};

/// Why a connection that was taken is not lent.
pub(super) enum Doubt<E> {
    /// It cannot be used any more.
    Unfit(CloseReason),
    /// `on_checkout` refused it, or panicked.
    Refused(CloseReason, Cause<E>),
    /// It must not be lent unchecked: the process was frozen, or the machine asleep, while it was idle, or a task collected it late.
    Stale,
}

/// Looks at a connection without a round trip and without reading the clock.
#[inline]
pub(super) fn look_closely<M: Manager>(
    pool: &PoolRef<M>,
    entry: &mut Entry<SlottedConnection<M>>,
) -> Result<(), Doubt<M::Error>> {
    let conn = &mut entry.slotted.conn;
    match contained(|| pool.manager.has_broken(conn)) {
        Ok(false) => {}
        Ok(true) => return Err(Doubt::Unfit(CloseReason::Broken)),
        Err(_) => return Err(Doubt::Unfit(CloseReason::Panicked)),
    }
    match &pool.hooks.of_loans {
        None => Ok(()),
        Some(hooks) => ask_on_checkout(pool, hooks, entry),
    }
}

#[cold]
fn ask_on_checkout<M: Manager>(
    pool: &PoolRef<M>,
    hooks: &LoanHooks<M>,
    entry: &mut Entry<SlottedConnection<M>>,
) -> Result<(), Doubt<M::Error>> {
    let Some(on_checkout) = &hooks.on_checkout else { return Ok(()) };
    match pool.judge(on_checkout, entry) {
        Ok(Verdict::Keep) => Ok(()),
        Ok(Verdict::Close) => {
            Err(Doubt::Refused(CloseReason::Refused, Cause::other("`on_checkout` refused a new connection")))
        }
        Err(panic) => Err(Doubt::Refused(CloseReason::Panicked, Cause::panicked("`on_checkout` panicked", &panic))),
    }
}
