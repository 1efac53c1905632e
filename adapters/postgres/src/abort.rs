//! A connection in the hands of another thread: cancel what runs, or abort the connection.
//!
//! How a cancellation is sent is `connector.rs`, and what makes a connection fail is `socket.rs`.

use crate::connection::Connection;
use crate::connector::Connector;
use crate::tap::Tap;
use crate::tokens::Tokens;
use cabrank::{AbortHandle, Limit};
use postgres::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Cancels the statement that runs on a [`Connection`](crate::Connection). See
/// [`Connection::cancel_token`](crate::Connection::cancel_token) and
/// [`Transaction::cancel_token`](crate::Transaction::cancel_token).
#[derive(Clone)]
pub struct CancelToken {
    pub(crate) token: postgres::CancelToken,
    pub(crate) connector: Connector,
    pub(crate) tokens: Arc<Tokens>,
}

impl Connection {
    /// A handle by which another thread can cancel the statement that runs here, until the loan ends.
    ///
    /// In place of the driver's tokens, which no loan bounds. The driver's client gives one only if it is asked for by itself
    /// (`conn.client().cancel_token()`), and so does a transaction of the driver's (`conn.transaction()`). Over TCP such a token
    /// fails, unless it is given a TLS connector and the server takes TLS without being asked (`sslnegotiation=direct`). Over a
    /// Unix socket it works, also after the loan: then it cancels what the next holder runs. Neither has the connection closed.
    pub fn cancel_token(&self) -> CancelToken {
        CancelToken {
            token: self.client.cancel_token(),
            connector: self.connector.clone(),
            tokens: Arc::clone(&self.tokens),
        }
    }
}

impl CancelToken {
    /// Asks the server to give up the statement, over a connection of its own, and waits until the server has passed the
    /// request on; for at most `timeout`, and the connect time-out in the settings for the TCP connection.
    ///
    /// It may come too late and hit the next statement. So the connection is not lent again: it is closed on return
    /// ([`CloseReason::BeyondReset`](cabrank::CloseReason::BeyondReset)). With [`SessionPolicy::Never`](cabrank::SessionPolicy::Never)
    /// it is closed before its next loan, and counts as broken; there
    /// [`PooledConnection::canceller`](cabrank::PooledConnection::canceller) does better. Once the loan is over, nothing is sent.
    ///
    /// # Errors
    ///
    /// The driver's, if the server was not reached. Success does not mean that anything was cancelled.
    pub fn cancel_query(&self, timeout: Duration) -> Result<(), Error> {
        if !self.tokens.spend() {
            return Ok(());
        }
        self.connector.cancel(&self.token, Tap::aside(), Instant::now().checked_add(timeout))
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").finish_non_exhaustive()
    }
}

/// A connection in the hands of the pool.
pub(crate) struct PostgresAbortHandle {
    token: postgres::CancelToken,
    connector: Connector,
    /// `None` over a Unix socket.
    tap: Option<Arc<Tap>>,
}

impl PostgresAbortHandle {
    pub(crate) fn of(conn: &Connection) -> Self {
        Self { token: conn.client.cancel_token(), connector: conn.connector.clone(), tap: conn.tap.clone() }
    }
}

impl AbortHandle for PostgresAbortHandle {
    fn cancel(&self, limit: &Limit) -> bool {
        // What has been aborted at rest runs nothing.
        let rests = self.tap.as_ref().is_some_and(|tap| tap.is_over() && !tap.tracker().is_busy());
        !rests && self.connector.cancel(&self.token, Tap::aside(), limit.deadline()).is_ok()
    }

    fn abort(&self) {
        if let Some(tap) = &self.tap {
            tap.socket.abort();
        }
    }

    /// Over a Unix socket nothing can be done to the stream.
    fn can_abort(&self) -> bool {
        self.tap.is_some()
    }
}
