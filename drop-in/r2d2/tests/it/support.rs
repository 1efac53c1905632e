//! A manager whose every answer the test controls.

use r2d2::{ManageConnection, Pool};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

/// The text of the manager's error.
#[derive(Debug)]
pub(crate) struct Refusal;

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server has no room")
    }
}

impl Error for Refusal {}

/// The server that a [`Manager`] connects to.
#[derive(Debug)]
pub(crate) struct Server {
    /// How many more connections may be opened.
    pub(crate) room: AtomicU32,
    pub(crate) is_broken: AtomicBool,
    pub(crate) fails_checks: AtomicBool,
    pub(crate) opened: AtomicUsize,
    pub(crate) checked: AtomicUsize,
    pub(crate) asked: AtomicUsize,
    pub(crate) dropped: AtomicUsize,
}

impl Server {
    /// A server without a limit of connections.
    pub(crate) fn new() -> Arc<Self> {
        Self::with_room(u32::MAX)
    }

    pub(crate) fn with_room(room: u32) -> Arc<Self> {
        Arc::new(Self {
            room: AtomicU32::new(room),
            is_broken: AtomicBool::new(false),
            fails_checks: AtomicBool::new(false),
            opened: AtomicUsize::new(0),
            checked: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        })
    }

    pub(crate) fn manager(self: &Arc<Self>) -> Manager {
        Manager(Arc::clone(self))
    }

    pub(crate) fn count(&self, of: impl Fn(&Self) -> &AtomicUsize) -> usize {
        of(self).load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
pub(crate) struct Manager(Arc<Server>);

/// A connection: its number, which a customizer may change.
#[derive(Debug)]
pub(crate) struct Connection(pub(crate) usize, Arc<Server>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.1.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = Refusal;

    fn connect(&self) -> Result<Connection, Refusal> {
        let less = |room: u32| room.checked_sub(1);
        self.0.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).map_err(|_| Refusal)?;
        Ok(Connection(self.0.opened.fetch_add(1, Ordering::SeqCst), Arc::clone(&self.0)))
    }

    fn is_valid(&self, _: &mut Connection) -> Result<(), Refusal> {
        self.0.checked.fetch_add(1, Ordering::SeqCst);
        if self.0.fails_checks.load(Ordering::SeqCst) { Err(Refusal) } else { Ok(()) }
    }

    fn has_broken(&self, _: &mut Connection) -> bool {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        self.0.is_broken.load(Ordering::SeqCst)
    }
}

pub(crate) fn pool_of(max_size: u32, server: &Arc<Server>) -> Pool<Manager> {
    Pool::builder().max_size(max_size).build(server.manager()).unwrap()
}

pub(crate) const MOMENT: Duration = Duration::from_millis(50);
