//! What the last holder has asked for and not read: rows, a COPY, a statement that still runs.
//!
//! The driver reads all of it before anything else, be it a billion rows. So the server is told to give it up.

use crate::connection::Connection;
use crate::connector::Connector;
use crate::tap::Tap;
use cabrank::{Limit, SessionState};
use postgres::fallible_iterator::FallibleIterator;
use postgres::{CancelToken, Error};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

impl Connection {
    /// Waits for what is little, and has the server cancel what is more: then there is little left to read. `false`: the connection
    /// is of no more use, and was aborted.
    pub(crate) fn end_unread(&mut self, limit: &Limit) -> Result<bool, Error> {
        let Some(tap) = self.tap.clone() else { return Ok(true) };
        if tap.session(false) == SessionState::InTransaction {
            self.send_rest()?;
        }
        if !tap.has_unread() {
            return Ok(true);
        }
        if self.reads_rest(&tap, GRACE)? {
            return Ok(true);
        }
        let took = self.cancel_unread(&tap, limit)?;
        // By now a pooler may have passed the cancel on to a session that is another's; and a driver that is held up though it was given
        // time will never read on, for somebody has forgotten what it reads for.
        let goes_on = !self.transaction_pooler && !tap.socket.is_held_up();
        if goes_on && self.reads_rest(&tap, took.max(PATIENCE))? {
            return Ok(true);
        }
        tap.socket.abort();
        Ok(false)
    }

    /// Has the driver send what it was asked for last: the rows of a portal it asks for when it is next used. Drops all notifications,
    /// and waits for nothing.
    pub(crate) fn send_rest(&mut self) -> Result<(), Error> {
        let mut notifications = self.client.notifications();
        let mut waiting = notifications.iter();
        while waiting.next()?.is_some() {}
        Ok(())
    }

    /// Does the driver wait for ever for somebody to take what it has? It goes on as soon as it is used, as here, if that was dropped.
    pub(crate) fn is_stuck(&mut self) -> bool {
        if self.tap().is_some_and(Tap::has_unread) {
            let _ = self.client.is_valid(Duration::ZERO);
        }
        self.tap().is_some_and(|tap| tap.socket.is_held_up())
    }

    /// Reads for so long at most. Was that all?
    fn reads_rest(&mut self, tap: &Tap, within: Duration) -> Result<bool, Error> {
        match self.client.is_valid(within) {
            Err(error) if tap.is_over() => Err(error),
            answer => Ok(answer.is_ok()),
        }
    }

    /// Returns how long that took: the server has had the signal by then, so that what follows is safe from it.
    fn cancel_unread(&self, tap: &Arc<Tap>, limit: &Limit) -> Result<Duration, Error> {
        let (side, began) = (Tap::aside(), Instant::now());
        let both = [Arc::clone(tap), Arc::clone(&side)];
        limit.on_abort(move || both.iter().for_each(|tap| tap.socket.abort()));
        self.connector.cancel(&self.client.cancel_token(), side, limit.deadline())?;
        Ok(began.elapsed())
    }
}

/// Has the server give up what is unread in a transaction, while the driver reads it to roll back. The driver's call can be
/// watched from another thread alone.
#[derive(Clone, Copy)]
pub(crate) struct Scissors<'c> {
    pub(crate) tap: Option<&'c Tap>,
    pub(crate) connector: &'c Connector,
    pub(crate) transaction_pooler: bool,
}

impl Scissors<'_> {
    /// Runs `roll_back`. What it has to read before is cut as between two loans; if that does not help, the connection is aborted.
    pub(crate) fn cut<T>(self, token: CancelToken, roll_back: impl FnOnce() -> T) -> T {
        let Some(tap) = self.tap.filter(|tap| tap.has_unread()) else { return roll_back() };
        let (done, is_done) = channel::<()>();
        let lasts = move |span| is_done.recv_timeout(span) == Err(RecvTimeoutError::Timeout);
        let watch = move || {
            if !lasts(GRACE) {
                return;
            }
            let began = Instant::now();
            let cancelled = !self.transaction_pooler && self.connector.cancel(&token, Tap::aside(), None).is_ok();
            if !cancelled || lasts(began.elapsed().max(PATIENCE)) {
                tap.socket.abort();
            }
        };
        thread::scope(|scope| {
            // Without a thread all is read.
            let _ = thread::Builder::new().name("cabrank-postgres".into()).spawn_scoped(scope, watch);
            let outcome = roll_back();
            drop(done);
            outcome
        })
    }
}

/// Less than opening a connection takes, or not much more.
const GRACE: Duration = Duration::from_millis(25);

/// For what was on its way when the server gave up. Where that takes longer than the cancel, a new connection is sooner there.
const PATIENCE: Duration = Duration::from_millis(500);
