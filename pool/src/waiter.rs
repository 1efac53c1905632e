//! One parked thread, and the one way to wake it.

use crate::seeded;
use crate::sync;
use crate::sync::{Ordering, Parker, WaitFlag};
use std::sync::Arc;
use std::time::Instant;

/// Where a thread parks until it is woken. Belongs to the thread that made it.
#[derive(Debug)]
pub(crate) struct Waiter {
    woken: WaitFlag,
    parker: Parker,
}

impl Waiter {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { woken: WaitFlag::new(false), parker: Parker::new() })
    }

    /// Parks until woken or until `deadline`. A wake-up that came before counts, and so does one that comes with the
    /// deadline. Returns whether it was woken.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> bool {
        // Others may unpark this thread for reasons of their own, so the flag decides.
        while !self.woken.swap(false, Ordering::Acquire) {
            if deadline.is_some_and(|deadline| deadline <= sync::now()) {
                return false;
            }
            if seeded::bug("forgets_who_woke_it_just_now") {
                self.woken.store(false, Ordering::Release);
            }
            self.parker.park(deadline);
        }
        true
    }

    fn wake(&self) {
        if !self.woken.swap(true, Ordering::Release) {
            self.parker.unpark();
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_stray_unpark_ends_no_wait() {
        let (waiter, deadline) = (Waiter::new(), sync::now() + Duration::from_millis(20));
        std::thread::current().unpark();
        assert!(!waiter.park(Some(deadline)));
        assert!(sync::now() >= deadline);
    }

    #[test]
    fn a_wake_up_that_came_before_counts_once() {
        let waiter = Waiter::new();
        waiter.wake();
        waiter.wake();
        assert!(waiter.park(None));
        assert!(!waiter.park(Some(sync::now())));
    }
}
