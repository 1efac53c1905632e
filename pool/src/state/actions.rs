//! The state's answers: outcomes, and the work to be done once its lock is released.

use crate::cause::Cause;
use crate::entry::Entry;
use crate::limit::Call;
use crate::reason::CloseReason;
use crate::report::Holder;
use crate::slots::SlotId;
use crate::waiter::Wake;
use std::sync::Weak;
use std::time::{Duration, Instant};

/// What is to be done once the lock is released. Empty after an uncontended loan.
pub(crate) type Actions<C, E> = Vec<Action<C, E>>;

pub(crate) enum Action<C, E> {
    Wake(Wake),
    Open(Opening),
    Check(Box<Entry<C>>),
    Reset(Box<Entry<C>>),
    Close(Box<Entry<C>>, CloseReason),
    /// Abort a driver call, to serve a waiter sooner.
    Abort(SlotId, Weak<Call>),
    /// The connection in this slot is queued for its goodbye, and the slot is needed: abort it at once.
    Hasten(SlotId),
    ReportLeak(Holder),
    /// An attempt to connect was given up after this time.
    TellGivenUp(Cause<E>, Duration),
    /// A future that had waited for this time was dropped.
    TellCancelled(Duration),
    /// Call [`State::tick`](crate::state::State::tick) at this time.
    Alarm(Instant),
    /// Drop an error. Its destructor is user code.
    Drop(Cause<E>),
}

/// What a worker does with a connection whose loan has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Reset,
    /// The connection must not be used again: check only whether it is dead.
    Check,
}

/// An order to open a connection.
pub(crate) struct Opening {
    pub(crate) slot: SlotId,
    pub(crate) limit: Duration,
    pub(crate) generation: u64,
}

/// What a waiter receives.
pub(crate) enum Delivery<C, E> {
    Connection(Box<Entry<C>>),
    Refused(Cause<E>),
    Closed,
}

/// The outcome of [`State::claim`](crate::state::State::claim).
pub(crate) enum Claim<C, E> {
    Connection(Box<Entry<C>>),
    /// Nothing is ready: queue, or go without.
    Nothing,
    Refused(Cause<E>),
    Closed,
}
