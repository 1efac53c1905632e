//! Access to a connection from another thread: cancel the running statement, or abort the connection.

use crate::bounds::within;
use crate::connection::Connection;
use crate::socket::Socket;
use cabrank::{AbortHandle, Limit};
use mysql::prelude::Queryable;
use mysql::{Conn, Opts, OptsBuilder};
use std::sync::Arc;
use std::time::Duration;

/// Owns a duplicate of the socket's descriptor, and the settings to reach the same server again.
pub(crate) struct MySqlAbortHandle {
    socket: Arc<Socket>,
    opts: Arc<Opts>,
    connection_id: u32,
}

impl MySqlAbortHandle {
    pub(crate) fn of(conn: &Connection) -> Self {
        let (socket, opts) = (Arc::clone(&conn.socket), Arc::clone(&conn.opts));
        Self { socket, opts, connection_id: conn.baseline.connection_id }
    }

    fn kill_query(&self, limit: &Limit) -> mysql::Result<()> {
        let span = limit.remaining().unwrap_or(LONGEST_CANCEL);
        // This connection's own address: its number is valid on that server only.
        let opts = OptsBuilder::from_opts(Opts::clone(&self.opts)).db_name(None::<String>);
        let mut side = Conn::new(within(opts, &self.opts, span))?;
        // Each step of the log-in had the whole time as its time-out. Later steps are aborted at the limit.
        let socket = Socket::of(&side)?;
        limit.on_abort(move || socket.abort());
        side.query_drop(format!("KILL QUERY {}", self.connection_id))
    }
}

impl AbortHandle for MySqlAbortHandle {
    /// Sends `KILL QUERY` on a side connection. The interrupted statement fails with 1317; a `SLEEP` returns Ok.
    fn cancel(&self, limit: &Limit) -> bool {
        !limit.remaining().is_some_and(|left| left.is_zero()) && self.kill_query(limit).is_ok()
    }

    fn abort(&self) {
        self.socket.abort();
    }

    fn can_abort(&self) -> bool {
        Socket::CAN_ABORT
    }
}

/// The limit of a side connection if the caller sets none.
const LONGEST_CANCEL: Duration = Duration::from_secs(5);
