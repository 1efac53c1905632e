//! A connection in the hands of another thread: cancel what runs, or abort the connection.

use crate::connector::Connector;
use crate::tap::Tap;
use cabrank::{AbortHandle, Limit};
use postgres::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Cancels the statement that runs on a [`Connection`](crate::Connection). See
/// [`Connection::cancel_token`](crate::Connection::cancel_token).
#[derive(Clone)]
pub struct CancelToken {
    pub(crate) token: postgres::CancelToken,
    pub(crate) connector: Connector,
    pub(crate) tokens: Arc<Tokens>,
}

/// What the tokens of one loan share with the connection. Each side writes its own word before it reads the other's, so that
/// one of the two notices.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// A cancellation was sent: nobody knows which statement it hits.
    cancelled: AtomicBool,
    /// The loan is over.
    over: AtomicBool,
}

impl Tokens {
    pub(crate) fn was_used(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// Ends their use. Was one used before?
    pub(crate) fn end(&self) -> bool {
        self.over.store(true, Ordering::SeqCst);
        self.was_used()
    }
}

impl CancelToken {
    /// Asks the server to give up the statement, over a connection of its own, and waits until the server has passed the
    /// request on; for at most `timeout`, and the connect time-out in the settings for the TCP connection.
    ///
    /// It may come too late and hit the next statement. So the connection is not lent again: it is replaced on return. Once
    /// the loan is over, nothing is sent.
    ///
    /// # Errors
    ///
    /// The driver's, if the server was not reached. Success does not mean that anything was cancelled.
    pub fn cancel_query(&self, timeout: Duration) -> Result<(), Error> {
        self.tokens.cancelled.store(true, Ordering::SeqCst);
        if self.tokens.over.load(Ordering::SeqCst) {
            return Ok(());
        }
        cancel(&self.token, &self.connector, Instant::now().checked_add(timeout))
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").finish_non_exhaustive()
    }
}

/// The line in the hands of the pool.
pub(crate) struct PostgresAbortHandle {
    pub(crate) token: postgres::CancelToken,
    pub(crate) connector: Connector,
    pub(crate) tap: Arc<Tap>,
}

impl AbortHandle for PostgresAbortHandle {
    fn cancel(&self, limit: &Limit) -> bool {
        let deadline = limit.deadline().or_else(|| Instant::now().checked_add(LONGEST_CANCEL));
        cancel(&self.token, &self.connector, deadline).is_ok()
    }

    fn abort(&self) {
        self.tap.abort();
    }
}

/// Opens a second connection by the way of the first, and waits until the server has closed it: by then the signal has been
/// sent.
fn cancel(token: &postgres::CancelToken, connector: &Connector, deadline: Option<Instant>) -> Result<(), Error> {
    let tap = Arc::new(Tap::new());
    tap.linger();
    token.cancel_query(Connector { tap, deadline, ..connector.clone() })
}

const LONGEST_CANCEL: Duration = Duration::from_secs(10);
