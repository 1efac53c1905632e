//! The socket below the driver, as far as it can be reached: the driver keeps the descriptor to itself, and is aborted
//! where it polls.
//!
//! Owns the flags and their order. Who polls is `stream.rs`.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

/// One connection's socket. Shared by the stream, which the driver owns, the connection, and its abort handle.
#[derive(Default)]
pub(crate) struct SocketState {
    /// The connection is aborted: every poll fails from here on.
    aborted: AtomicBool,
    /// End of stream or an I/O error was seen.
    ended: AtomicBool,
    /// The log-in is over: its deadlines hold no longer.
    logged_in: AtomicBool,
    /// When the server was first heard of.
    heard_at: OnceLock<Instant>,
    /// Closing waits until the server has closed its end.
    lingering: AtomicBool,
    /// The driver has not come back for more since it was last given something: it has answers that nobody takes from it.
    held_up: AtomicBool,
    /// Of the last poll, which aborting must wake.
    waker: Mutex<Option<Waker>>,
}

impl SocketState {
    /// Another attempt to connect begins: what became of the last one's socket is void. An abort stays.
    pub(crate) fn restart(&self) {
        self.ended.store(false, Ordering::Relaxed);
    }

    /// Makes whatever waits on the stream fail, now and for ever. Does not block.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::SeqCst);
        let waker = self.waker().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// To be asked first in every poll. The flag is looked at again after the waker is stored, for an abort in between would
    /// wake nobody.
    pub(crate) fn check(&self, context: &Context<'_>) -> io::Result<()> {
        if !self.aborted.load(Ordering::SeqCst) {
            let mut waker = self.waker();
            match &mut *waker {
                Some(waker) => waker.clone_from(context.waker()),
                None => *waker = Some(context.waker().clone()),
            }
            drop(waker);
            if !self.aborted.load(Ordering::SeqCst) {
                return Ok(());
            }
        }
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the pool has aborted this connection"))
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub(crate) fn log_in_is_over(&self) {
        self.logged_in.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_logged_in(&self) -> bool {
        self.logged_in.load(Ordering::Relaxed)
    }

    /// The server has said something.
    pub(crate) fn hears(&self) {
        self.heard_at.get_or_init(Instant::now);
    }

    pub(crate) fn heard_at(&self) -> Option<Instant> {
        self.heard_at.get().copied()
    }

    pub(crate) fn linger(&self) {
        self.lingering.store(true, Ordering::Relaxed);
    }

    pub(crate) fn lingers(&self) -> bool {
        self.lingering.load(Ordering::Relaxed)
    }

    pub(crate) fn set_held_up(&self, held_up: bool) {
        self.held_up.store(held_up, Ordering::Relaxed);
    }

    /// Had the driver stopped reading when it last rested? It goes on when the holder has taken or dropped what it is for, and never if
    /// that was forgotten (`mem::forget`).
    pub(crate) fn is_held_up(&self) -> bool {
        self.held_up.load(Ordering::Relaxed)
    }

    /// Nothing passes here any more.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.load(Ordering::Relaxed) || self.aborted.load(Ordering::Relaxed)
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
