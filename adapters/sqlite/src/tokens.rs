//! The driver's interrupt handle, which ends with its loan.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Interrupts the running statement of a [`Connection`](crate::Connection), from any thread, until the connection is returned to its
/// pool. See [`Connection::get_interrupt_handle`](crate::Connection::get_interrupt_handle).
#[derive(Clone)]
pub struct InterruptHandle(Arc<Mutex<Option<rusqlite::InterruptHandle>>>);

impl InterruptHandle {
    /// Like [`rusqlite::InterruptHandle::interrupt`]. Does nothing once the connection is returned.
    pub fn interrupt(&self) {
        // Under the lock, which the end of the loan takes, too: it affects this loan or none.
        if let Some(driver) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            driver.interrupt();
        }
    }
}

impl fmt::Debug for InterruptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterruptHandle").finish_non_exhaustive()
    }
}

/// The handle that all callers in one loan share.
#[derive(Default)]
pub(crate) struct Tokens(Cell<Option<InterruptHandle>>);

impl Tokens {
    pub(crate) fn handle(&self, driver: &rusqlite::Connection) -> InterruptHandle {
        let made = || InterruptHandle(Arc::new(Mutex::new(Some(driver.get_interrupt_handle()))));
        let handle = self.0.take().unwrap_or_else(made);
        self.0.set(Some(handle.clone()));
        handle
    }

    /// The loan is over: its handles have no effect any more.
    pub(crate) fn end(&mut self) {
        if let Some(InterruptHandle(shared)) = self.0.get_mut().take() {
            *shared.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}
