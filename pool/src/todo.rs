//! What the state answers: outcomes, and what must be done once its lock is released.

use crate::entry::Entry;
use crate::error::{Cause, Holder};
use crate::limit::Cell;
use crate::reason::CloseReason;
use crate::slots::SlotId;
use crate::waiter::Wake;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// What is to be done once the lock is released.
pub(crate) struct Todo<C, E> {
    pub(crate) wake: Vec<Wake>,
    pub(crate) open: Vec<Opening>,
    pub(crate) check: Vec<Box<Entry<C>>>,
    pub(crate) reset: Vec<Box<Entry<C>>>,
    pub(crate) close: Vec<(Box<Entry<C>>, CloseReason)>,
    /// Driver calls to be cut, to serve somebody sooner.
    pub(crate) cut: Vec<(SlotId, Weak<Cell>)>,
    pub(crate) leaks: Vec<Holder>,
    /// When the upkeep is due.
    pub(crate) alarm: Option<Instant>,
    /// To be dropped outside the lock.
    pub(crate) trash: Vec<Cause<E>>,
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
    Refused(Arc<E>),
    Closed,
}

/// What became of a request.
pub(crate) enum Claim<C, E> {
    Connection(Box<Entry<C>>),
    /// Nothing is ready: queue, or go without.
    Nothing,
    Refused(Arc<E>),
    Closed,
}

impl<C, E> Todo<C, E> {
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            wake: Vec::new(),
            open: Vec::new(),
            check: Vec::new(),
            reset: Vec::new(),
            close: Vec::new(),
            cut: Vec::new(),
            leaks: Vec::new(),
            alarm: None,
            trash: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.wake.is_empty()
            && self.alarm.is_none()
            && self.reset.is_empty()
            && self.close.is_empty()
            && self.check.is_empty()
            && self.open.is_empty()
            && self.cut.is_empty()
            && self.leaks.is_empty()
            && self.trash.is_empty()
    }
}
