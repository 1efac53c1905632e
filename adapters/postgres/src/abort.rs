//! Access to a connection from another thread: cancel the running statement, or abort the connection.
//!
//! `connector.rs` sends a cancellation; `socket.rs` makes a connection fail.

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
    /// Returns a handle with which another thread can cancel the statement that runs here, until the loan ends.
    ///
    /// Use it instead of the driver's tokens, which are not bound to a loan. The driver's client gives one only on an explicit call
    /// (`conn.client().cancel_token()`), and so does a driver's transaction (`conn.transaction()`). Over TCP such a token fails, unless
    /// it gets a TLS connector and the server accepts TLS without a request (`sslnegotiation=direct`). Over a Unix socket it works,
    /// even after the loan, when it cancels the next holder's statement. In neither case is the connection closed.
    ///
    /// ```no_run
    /// use cabrank_postgres::postgres::NoTls;
    /// use cabrank_postgres::{Pool, PostgresManager};
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().build(PostgresManager::from_url("postgres://app:secret@localhost/shop", NoTls)?)?;
    ///
    /// let mut conn = pool.get()?;
    /// let token = conn.cancel_token();
    /// std::thread::spawn(move || {
    ///     std::thread::sleep(Duration::from_secs(5));
    ///     token.cancel_query(Duration::from_secs(1))
    /// });
    /// conn.batch_execute("SELECT pg_sleep(60)")?; // fails after five seconds
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel_token(&self) -> CancelToken {
        CancelToken {
            token: self.client.cancel_token(),
            connector: self.connector.clone(),
            tokens: Arc::clone(&self.tokens),
        }
    }
}

impl CancelToken {
    /// Asks the server to cancel the statement, over a separate connection, and waits until the server has passed the request on. Waits
    /// at most for `timeout`, and for the TCP connection at most for the connect time-out in the settings.
    ///
    /// The request may come too late and hit the next statement. The connection is therefore not lent again: it is closed on return
    /// ([`CloseReason::BeyondReset`](cabrank::CloseReason::BeyondReset)). With [`SessionPolicy::Never`](cabrank::SessionPolicy::Never) it
    /// is closed before its next loan, and counts as broken; prefer [`PooledConnection::canceller`](cabrank::PooledConnection::canceller)
    /// there. Once the loan is over, nothing is sent.
    ///
    /// # Errors
    ///
    /// The driver's, if the server was not reached. Success does not mean that a statement was cancelled.
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

/// The pool's access to a connection.
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
        // A connection that was aborted while idle runs nothing.
        let rests = self.tap.as_ref().is_some_and(|tap| tap.is_over() && !tap.tracker().is_busy());
        !rests && self.connector.cancel(&self.token, Tap::aside(), limit.deadline()).is_ok()
    }

    fn abort(&self) {
        if let Some(tap) = &self.tap {
            tap.socket.abort();
        }
    }

    /// Over a Unix socket the stream is out of reach.
    fn can_abort(&self) -> bool {
        self.tap.is_some()
    }
}
