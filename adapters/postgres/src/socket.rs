//! The state of the socket below the driver. The driver does not expose the descriptor; an abort makes its polls fail instead.
//!
//! Owns the flags and their order. `stream.rs` polls.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

/// One connection's socket. Shared by the stream, which the driver owns, the connection, and its abort handle.
#[derive(Default)]
pub(crate) struct SocketState {
    /// The connection is aborted: every poll fails from now on.
    aborted: AtomicBool,
    /// End of stream or an I/O error was seen.
    ended: AtomicBool,
    /// The log-in is over: its deadlines no longer apply.
    logged_in: AtomicBool,
    /// When the server's first byte came.
    heard_at: OnceLock<Instant>,
    /// Closing waits until the server has closed its end.
    lingering: AtomicBool,
    /// The driver has not polled again since it last got data: it has answers that its user does not read.
    held_up: AtomicBool,
    /// Of the last poll, which an abort must wake.
    waker: Mutex<Option<Waker>>,
}

impl SocketState {
    /// Another connection attempt begins: resets the state of the last socket, but keeps an abort.
    pub(crate) fn restart(&self) {
        self.ended.store(false, Ordering::Relaxed);
    }

    /// Makes every present and future operation on the stream fail. Does not block.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::SeqCst);
        let waker = self.waker().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Called first in every poll. Checks the flag again after storing the waker, because an abort in between would wake no task.
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

    /// The server has sent something.
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

    /// Whether the driver had stopped reading when it was last idle. It continues when the holder has read or dropped the pending
    /// answer, and never if that was leaked (`mem::forget`).
    pub(crate) fn is_held_up(&self) -> bool {
        self.held_up.load(Ordering::Relaxed)
    }

    /// The stream carries no data any more.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.load(Ordering::Relaxed) || self.aborted.load(Ordering::Relaxed)
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
