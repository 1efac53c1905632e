//! One parked thread, and the one way to wake whoever waits.

use crate::sync::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Instant;

/// Where a thread parks until it is woken.
#[derive(Debug)]
pub(crate) struct Waiter {
    woken: Mutex<bool>,
    wake: Condvar,
}

impl Waiter {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { woken: Mutex::new(false), wake: Condvar::new() })
    }

    /// Parks until woken or until `deadline`. A wake-up that came before counts, and so does one that comes with the
    /// deadline. Returns whether it was woken.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> bool {
        let mut woken = self.woken.lock();
        while !*woken {
            if deadline.is_some_and(|deadline| deadline <= crate::sync::now()) {
                return false;
            }
            woken = self.wake.wait(woken, deadline);
        }
        *woken = false;
        true
    }

    fn wake(&self) {
        let mut woken = self.woken.lock();
        if !*woken {
            *woken = true;
            self.wake.notify_one();
        }
    }
}

/// How one who waits is woken. A task's `Waker` would be the second variant.
#[derive(Debug, Clone)]
pub(crate) enum Wake {
    /// A thread, parked in its [`Waiter`].
    Thread(Arc<Waiter>),
}

impl Wake {
    /// Never called under the lock of the state.
    pub(crate) fn wake(self) {
        match self {
            Self::Thread(waiter) => waiter.wake(),
        }
    }
}
