//! A place where threads wait for each other.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Releases its threads when enough of them have arrived. Unlike `std::sync::Barrier` it lets latecomers pass, and gives up if too few
/// arrive: a thread that fails earlier must not hold up the others forever.
pub(crate) struct Meeting {
    arrived: Mutex<u32>,
    complete: Condvar,
    wanted: u32,
}

impl Meeting {
    /// A meeting of `wanted` threads.
    pub(crate) fn of(wanted: u32) -> Self {
        Self { arrived: Mutex::new(0), complete: Condvar::new(), wanted }
    }

    /// Arrives, and waits until enough others have. Returns whether they did.
    pub(crate) fn attend(&self) -> bool {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        *arrived += 1;
        self.complete.notify_all();
        let (arrived, _) = self
            .complete
            .wait_timeout_while(arrived, PATIENCE, |arrived| *arrived < self.wanted)
            .unwrap_or_else(PoisonError::into_inner);
        *arrived >= self.wanted
    }
}

/// Far longer than a meeting ever takes.
const PATIENCE: Duration = Duration::from_secs(30);
