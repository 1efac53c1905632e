//! The last holder's unread answers: rows, a COPY, a statement that still runs.
//!
//! The driver reads all of them before anything else, even a billion rows. The adapter therefore asks the server to cancel.

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
    /// Waits for a small rest, and cancels a larger one at the server, which leaves little to read. `false`: the connection is useless,
    /// and was aborted.
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
        // By now a pooler may have passed the cancel on to another client's session. A driver that is still held up after this time never
        // continues, because the holder leaked what it reads for.
        let goes_on = !self.transaction_pooler && !tap.socket.is_held_up();
        if goes_on && self.reads_rest(&tap, took.max(PATIENCE))? {
            return Ok(true);
        }
        tap.socket.abort();
        Ok(false)
    }

    /// Makes the driver send its last request: the rows of a portal are requested when the driver is next used. Drops all notifications,
    /// and does not wait.
    pub(crate) fn send_rest(&mut self) -> Result<(), Error> {
        let mut notifications = self.client.notifications();
        let mut waiting = notifications.iter();
        while waiting.next()?.is_some() {}
        Ok(())
    }

    /// Whether the driver waits forever for its data to be read. If that data was dropped, the driver continues at its next use, as
    /// here.
    pub(crate) fn is_stuck(&mut self) -> bool {
        if self.tap().is_some_and(Tap::has_unread) {
            let _ = self.client.is_valid(Duration::ZERO);
        }
        self.tap().is_some_and(|tap| tap.socket.is_held_up())
    }

    /// Reads for at most this long. Returns whether that was all.
    fn reads_rest(&mut self, tap: &Tap, within: Duration) -> Result<bool, Error> {
        match self.client.is_valid(within) {
            Err(error) if tap.is_over() => Err(error),
            answer => Ok(answer.is_ok()),
        }
    }

    /// Returns how long that took: the server has had the signal by then, so it cannot hit later statements.
    fn cancel_unread(&self, tap: &Arc<Tap>, limit: &Limit) -> Result<Duration, Error> {
        let (side, began) = (Tap::aside(), Instant::now());
        let both = [Arc::clone(tap), Arc::clone(&side)];
        limit.on_abort(move || both.iter().for_each(|tap| tap.socket.abort()));
        self.connector.cancel(&self.client.cancel_token(), side, limit.deadline())?;
        Ok(began.elapsed())
    }
}

/// Makes the server cancel unread data in a transaction, while the driver reads it to roll back. The driver's call can be watched only
/// from another thread.
#[derive(Clone, Copy)]
pub(crate) struct Scissors<'c> {
    pub(crate) tap: Option<&'c Tap>,
    pub(crate) connector: &'c Connector,
    pub(crate) transaction_pooler: bool,
}

impl Scissors<'_> {
    /// Runs `roll_back`. Unread data is cancelled as between two loans; if that does not help, the connection is aborted.
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
            // Without a thread, the rollback reads all data.
            let _ = thread::Builder::new().name("cabrank-postgres".into()).spawn_scoped(scope, watch);
            let outcome = roll_back();
            drop(done);
            outcome
        })
    }
}

/// About the time to open a connection, or less.
const GRACE: Duration = Duration::from_millis(25);

/// For data on its way when the server cancelled. If that takes longer than the cancel, a new connection is faster.
const PATIENCE: Duration = Duration::from_millis(500);
