//! What a connection's stream shares with the rest: the record of what passed over it, and the means to cut it.
//!
//! Owns the flags and their order. Who polls is `stream.rs`; what the bytes mean is `wire`.

use crate::wire::{End, Tracker};
use cabrank::SessionState;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// One connection's tap. Shared by the stream, which the driver owns, the connection, and its line.
pub(crate) struct Tap {
    /// The connection is aborted: every poll fails from here on.
    aborted: AtomicBool,
    /// End of stream or an I/O error was seen.
    ended: AtomicBool,
    /// Closing waits until the server has closed its end.
    lingering: AtomicBool,
    /// Whoever polled last, so that aborting wakes them.
    waker: Mutex<Option<Waker>>,
    tracker: Mutex<Tracker>,
}

impl Tap {
    pub(crate) fn new() -> Self {
        Self {
            aborted: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            lingering: AtomicBool::new(false),
            waker: Mutex::new(None),
            tracker: Mutex::new(Tracker::new()),
        }
    }

    /// Another attempt to connect begins, at the next address: what the last one's stream showed is void. A cut stays.
    pub(crate) fn restart(&self) {
        *self.tracker() = Tracker::new();
        self.ended.store(false, Ordering::Relaxed);
    }

    /// Makes whatever waits on the stream fail, now and for ever. Does not block.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::SeqCst);
        let waker = lock(&self.waker).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// To be asked first in every poll. The flag is looked at again after the waker is stored, for a cut in between would
    /// wake nobody.
    pub(crate) fn check(&self, context: &Context<'_>) -> io::Result<()> {
        if !self.aborted.load(Ordering::SeqCst) {
            let mut waker = lock(&self.waker);
            match &mut *waker {
                Some(waker) => waker.clone_from(context.waker()),
                None => *waker = Some(context.waker().clone()),
            }
            drop(waker);
            if !self.aborted.load(Ordering::SeqCst) {
                return Ok(());
            }
        }
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the pool has cut this connection's line"))
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub(crate) fn linger(&self) {
        self.lingering.store(true, Ordering::Relaxed);
    }

    pub(crate) fn lingers(&self) -> bool {
        self.lingering.load(Ordering::Relaxed)
    }

    /// Nothing can be asked of this connection any more.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.load(Ordering::Relaxed) || self.aborted.load(Ordering::Relaxed) || self.tracker().end().is_some()
    }

    pub(crate) fn session(&self, transaction_only: bool) -> SessionState {
        self.tracker().session(transaction_only)
    }

    /// The SQLSTATE with which the server has ended the session.
    pub(crate) fn fatal(&self) -> Option<[u8; 5]> {
        match self.tracker().end() {
            Some(End::Fatal(code)) => Some(code),
            _ => None,
        }
    }

    pub(crate) fn tracker(&self) -> MutexGuard<'_, Tracker> {
        lock(&self.tracker)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
