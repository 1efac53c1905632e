//! The driver of the models. It counts the open sessions, and fails the model if there are more than `max_size`.

use super::thread;
use super::thread::ThreadId;
use crate::limit::Limit;
use crate::manager::{AbortHandle, Fault, Manager};
use std::fmt;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};

pub(super) struct Fake {
    /// How many attempts to connect will still fail.
    pub(super) refusals: AtomicUsize,
    /// Open sessions that are not aborted: those that `max_size` bounds.
    pub(super) sessions: Arc<AtomicUsize>,
    max_size: usize,
    /// Whether these failures are permanent, as for a wrong password.
    pub(super) refuses_for_good: AtomicBool,
    /// Whether connecting begins with a look-up that cannot be aborted.
    pub(super) looks_up: AtomicBool,
    /// The number of attempts to connect.
    pub(super) attempts: AtomicUsize,
    /// The threads that have dropped a manager.
    pub(super) dropped_by: Arc<Mutex<Vec<ThreadId>>>,
}

impl Fake {
    pub(super) fn new(max_size: usize) -> Self {
        Self {
            refusals: AtomicUsize::new(0),
            sessions: Arc::default(),
            max_size,
            refuses_for_good: AtomicBool::new(false),
            looks_up: AtomicBool::new(false),
            attempts: AtomicUsize::new(0),
            dropped_by: Arc::default(),
        }
    }
}

/// A connection, as its abort handles share it.
pub(super) struct Conn(pub(super) Arc<Wire>);

pub(super) struct Wire {
    pub(super) aborted: AtomicBool,
    pub(super) cancelled: AtomicBool,
    sessions: Arc<AtomicUsize>,
}

#[derive(Debug)]
pub(super) struct Refused;

impl Drop for Fake {
    fn drop(&mut self) {
        self.dropped_by.lock().unwrap().push(thread::current().id());
    }
}

impl Manager for Fake {
    type Connection = Conn;
    type Error = Refused;

    fn connect(&self, limit: &Limit) -> Result<Conn, Refused> {
        self.attempts.fetch_add(1, SeqCst);
        if self.looks_up.load(SeqCst) {
            limit.unabortable(|| ()).ok_or(Refused)?;
        }
        if self.refusals.load(SeqCst) > 0 {
            self.refusals.fetch_sub(1, SeqCst);
            return Err(Refused);
        }
        assert!(self.sessions.fetch_add(1, SeqCst) < self.max_size, "more sessions than max_size");
        Ok(Conn(Arc::new(Wire::new(&self.sessions))))
    }

    fn is_valid(&self, _: &mut Conn, _: &Limit) -> Result<(), Refused> {
        Ok(())
    }

    fn has_broken(&self, _: &mut Conn) -> bool {
        false
    }

    fn fault(&self, _: &Refused) -> Fault {
        if self.refuses_for_good.load(SeqCst) { Fault::Permanent } else { Fault::Unavailable }
    }

    fn abort_handle(&self, conn: &Conn) -> Option<Box<dyn AbortHandle>> {
        Some(Box::new(WireEnd(Arc::clone(&conn.0))))
    }
}

struct WireEnd(Arc<Wire>);

impl AbortHandle for WireEnd {
    fn cancel(&self, _: &Limit) -> bool {
        self.0.cancelled.store(true, SeqCst);
        true
    }

    fn abort(&self) {
        self.0.end();
    }
}

impl Wire {
    fn new(sessions: &Arc<AtomicUsize>) -> Self {
        let [aborted, cancelled] = [AtomicBool::new(false), AtomicBool::new(false)];
        Self { aborted, cancelled, sessions: Arc::clone(sessions) }
    }

    fn end(&self) {
        if !self.aborted.swap(true, SeqCst) {
            self.sessions.fetch_sub(1, SeqCst);
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}
