//! A parked thread, or a task that is not polled meanwhile, and the one way to wake either.

use crate::contain::contained;
use crate::seeded;
use crate::sync;
use crate::sync::{Mutex, Ordering, Parker, WaitFlag};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

/// Where a thread parks until it is woken. Belongs to the thread that created it.
#[derive(Debug)]
pub(crate) struct Waiter {
    woken: WaitFlag,
    parker: Parker,
}

impl Waiter {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { woken: WaitFlag::new(false), parker: Parker::new() })
    }

    /// Parks until woken or until `deadline`. A wake-up that came before counts, and so does one that comes together with the deadline.
    /// Returns whether it was woken.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> bool {
        // Other code may unpark this thread for reasons of its own, so the flag decides.
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

    /// The name of the thread that created it.
    pub(crate) fn name(&self) -> Option<String> {
        self.parker.name()
    }

    fn wake(&self) {
        if !self.woken.swap(true, Ordering::Release) {
            self.parker.unpark();
        }
    }
}

/// A task that waits, and how it is woken. The state has this and not a `Waker`, whose methods are user code: no `Waker` is cloned,
/// called or dropped under the state's lock.
#[derive(Debug, Default)]
pub(crate) struct Task(Mutex<Option<Waker>>);

impl Task {
    /// Stores the waker that is to be woken from now on. Called before each look at the pool: a change after that look wakes it.
    pub(crate) fn watch(&self, waker: &Waker) {
        if self.0.lock().as_ref().is_some_and(|own| own.will_wake(waker)) {
            return;
        }
        // The new waker is not cloned under a lock, nor the old one dropped.
        let waker = waker.clone();
        let before = self.0.lock().replace(waker);
        drop(before);
    }

    fn wake(&self) {
        let waker = self.0.lock().take();
        if let Some(waker) = waker {
            let _ = contained(|| waker.wake());
        }
    }
}

/// How a waiter is woken.
#[derive(Debug, Clone)]
pub(crate) enum Wake {
    /// A thread, parked in its [`Waiter`].
    Thread(Arc<Waiter>),
    /// A task. Its future holds it, too, until it stops waiting.
    Task(Arc<Task>),
}

impl Wake {
    /// Never called under the lock of the state.
    pub(crate) fn wake(self) {
        match self {
            Self::Thread(waiter) => waiter.wake(),
            Self::Task(task) => task.wake(),
        }
    }

    /// Where the thread parks, if it is a thread.
    pub(crate) fn waiter(&self) -> Option<&Arc<Waiter>> {
        match self {
            Self::Thread(waiter) => Some(waiter),
            Self::Task(_) => None,
        }
    }

    /// Whether waking it runs user code.
    pub(crate) fn is_task(&self) -> bool {
        matches!(self, Self::Task(_))
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
