//! The lane: a thread takes the connection that it has parked itself, without the lock.

use crate::checkout::hold;
use crate::checkout::look::{Doubt, look_closely};
use crate::entry::Entry;
use crate::manager::Manager;
use crate::shared::{Held, PoolRef, SlottedConnection};
use crate::slots::Borrower;
use std::time::{Duration, Instant};

/// The outcome of a look into a thread's cell.
pub(super) enum Parked<M: Manager> {
    Lent(Held<M>),
    /// A connection that failed its look.
    Doubtful(Box<Entry<SlottedConnection<M>>>, Doubt<M::Error>),
    None,
}

/// Takes the connection in this thread's cell. Finds nothing while the cells are shut.
#[inline]
pub(super) fn take_parked<M: Manager>(pool: &PoolRef<M>, borrower: Borrower, seat: usize, now: Instant) -> Parked<M> {
    let cell = pool.caches.cell(seat);
    if !cell.version().is_open() {
        return Parked::None;
    }
    let Some(mut entry) = cell.take() else { return Parked::None };
    // The version is read after the connection was taken, so that each change made before the take is seen.
    if !entry.permit.as_mut().is_some_and(|permit| permit.begin(cell.version(), now, borrower)) {
        bring_home(pool, entry, now);
        return Parked::None;
    }
    entry.lent_at = now;
    match look_closely(pool, &mut entry) {
        Ok(()) => Parked::Lent(hold(pool, entry, Duration::ZERO)),
        Err(doubt) => Parked::Doubtful(entry, doubt),
    }
}

#[cold]
fn bring_home<M: Manager>(pool: &PoolRef<M>, entry: Box<Entry<SlottedConnection<M>>>, now: Instant) {
    pool.with_at_home(now, |state, actions| state.come_home(entry, now, actions));
}
