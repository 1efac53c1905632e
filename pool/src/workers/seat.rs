//! Where one worker waits for its next job: a place of its own, for one wake-up a job.

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
    /// In a test: how often its thread has gone to sleep here, and how often it was woken.
    #[cfg(all(test, not(loom)))]
    pub(super) naps: [AtomicUsize; 2],
}

/// What a worker is to do next.
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

    /// Only for one who took the seat from those that rest: there is one order at a time.
    pub(super) fn call(&self, order: Order) {
        *self.order.lock() = Some(order);
        self.called.notify_one();
    }

    /// Waits for an order, until `until` at most.
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

    /// Takes an order back that its thread will not see.
    pub(super) fn recall(&self) -> Option<Order> {
        self.order.lock().take()
    }
}
