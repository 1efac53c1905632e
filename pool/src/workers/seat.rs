//! Where one worker waits for its next job: a place of its own, so that a job costs one wake-up.

use crate::sync;
#[cfg(all(test, not(loom)))]
use crate::sync::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};
use crate::workers::set::Task;
use std::time::Instant;

pub(super) struct Seat {
    /// The thread's number in its set.
    pub(super) number: u64,
    order: Mutex<Option<Order>>,
    called: Condvar,
    /// For tests: how often its thread has gone to sleep here, and how often it was woken.
    #[cfg(all(test, not(loom)))]
    pub(super) naps: [AtomicUsize; 2],
}

/// The next step of a worker.
pub(super) enum Order {
    Work(Task),
    Leave,
}

impl Seat {
    pub(super) fn new(number: u64, order: Option<Order>) -> Self {
        Self {
            number,
            order: Mutex::new(order),
            called: Condvar::new(),
            #[cfg(all(test, not(loom)))]
            naps: Default::default(),
        }
    }

    /// Only for a caller that took the seat from those at rest: there is one order at a time.
    pub(super) fn call(&self, order: Order) {
        *self.order.lock() = Some(order);
        self.called.notify_one();
    }

    /// Waits for an order, at most until `until`.
    pub(super) fn wait(&self, until: Option<Instant>) -> Option<Order> {
        let mut order = self.order.lock();
        while order.is_none() && until.is_none_or(|until| sync::now() < until) {
            #[cfg(all(test, not(loom)))]
            self.naps[0].fetch_add(1, Ordering::SeqCst);
            order = self.called.wait(order, until);
            #[cfg(all(test, not(loom)))]
            self.naps[1].fetch_add(1, Ordering::SeqCst);
        }
        order.take()
    }

    /// Takes back an order that its thread will not see.
    pub(super) fn recall(&self) -> Option<Order> {
        self.order.lock().take()
    }
}
