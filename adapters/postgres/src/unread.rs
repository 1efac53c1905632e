//! What the last holder has asked for and not read: rows, a COPY, a statement that still runs.
//!
//! The driver reads all of it before anything else, be it a billion rows. So the server is told to give it up.

use crate::connection::Connection;
use crate::error::left_running;
use crate::schema::SchemaChanges;
use crate::tap::Tap;
use cabrank::Limit;
use postgres::Error;
use std::sync::Arc;
use std::time::Duration;

impl Connection {
    /// Waits for what is little, and has the server cancel what is more. Then there is little left to read.
    pub(crate) fn end_unread(&mut self, limit: &Limit) -> Result<(), Error> {
        if self.reads_rest()? {
            return Ok(());
        }
        self.tap.clone().map_or(Ok(()), |tap| self.cancel_unread(&tap, limit))
    }

    /// Reads what is little. `false`: more is to come.
    pub(crate) fn reads_rest(&mut self) -> Result<bool, Error> {
        let Some(tap) = self.tap.clone().filter(|tap| tap.tracker().is_busy()) else { return Ok(true) };
        match self.client.is_valid(GRACE) {
            Err(error) if tap.is_over() => Err(error),
            answer => Ok(answer.is_ok()),
        }
    }

    fn cancel_unread(&self, tap: &Arc<Tap>, limit: &Limit) -> Result<(), Error> {
        let side = Arc::new(Tap::new(SchemaChanges::default()));
        let both = [Arc::clone(tap), Arc::clone(&side)];
        limit.on_abort(move || both.iter().for_each(|tap| tap.socket.abort()));
        self.connector.cancel(&self.client.cancel_token(), side, limit.deadline())?;
        // The server has had the signal, so that what follows is safe from it. A pooler may have passed it on to a session that is
        // another's by now.
        if self.transaction_pooler { Err(left_running()) } else { Ok(()) }
    }
}

/// Less than opening a connection takes, or not much more.
const GRACE: Duration = Duration::from_millis(25);
