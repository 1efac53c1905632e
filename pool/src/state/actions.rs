//! What the state answers: outcomes, and what must be done once its lock is released.

use crate::cause::Cause;
use crate::entry::Entry;
use crate::limit::Call;
use crate::reason::CloseReason;
use crate::report::Holder;
use crate::slots::SlotId;
use crate::waiter::Wake;
use std::sync::Weak;
use std::time::{Duration, Instant};

/// What is to be done once the lock is released, in this order. Empty on the way of an uncontended loan.
pub(crate) type Actions<C, E> = Vec<Action<C, E>>;

/// One thing to be done outside the lock.
pub(crate) enum Action<C, E> {
    Wake(Wake),
    Open(Opening),
    Check(Box<Entry<C>>),
    Reset(Box<Entry<C>>),
    Close(Box<Entry<C>>, CloseReason),
    /// A driver call is to be aborted, to serve somebody sooner.
    Abort(SlotId, Weak<Call>),
    /// What fills this slot waits for its goodbye, and the slot is wanted: it is to be aborted at once.
    Hasten(SlotId),
    ReportLeak(Holder),
    /// An attempt to connect was given up after so long.
    TellGivenUp(Cause<E>, Duration),
    /// A future that had waited for so long was dropped.
    TellCancelled(Duration),
    /// To call [`State::tick`](crate::state::State::tick) at this moment.
    Alarm(Instant),
    /// Dropping an error runs its owner's code.
    Drop(Cause<E>),
}

/// What a worker does with a connection whose loan has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Reset,
    /// It must not be used again: asks it only to see whether it is dead.
    Check,
}

/// A connection to be opened.
pub(crate) struct Opening {
    pub(crate) slot: SlotId,
    pub(crate) limit: Duration,
    pub(crate) generation: u64,
}

/// What a waiter is given.
pub(crate) enum Delivery<C, E> {
    Connection(Box<Entry<C>>),
    Refused(Cause<E>),
    Closed,
}

/// What became of a request.
pub(crate) enum Claim<C, E> {
    Connection(Box<Entry<C>>),
    /// Nothing is ready: queue, or go without.
    Nothing,
    Refused(Cause<E>),
    Closed,
}
