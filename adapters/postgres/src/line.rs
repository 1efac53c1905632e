//! A connection's line in the hands of another thread: cancel what runs, or cut it.

use crate::connector::Connector;
use crate::tap::Tap;
use cabrank::{Limit, Line};
use postgres::CancelToken;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct PostgresLine {
    pub(crate) token: CancelToken,
    /// As the connection's own, but with a tap of its own for each cancellation.
    pub(crate) connector: Connector,
    pub(crate) tap: Arc<Tap>,
}

impl Line for PostgresLine {
    /// Opens a second connection by the way of the first, and waits until the server has closed it: by then the signal has
    /// been sent.
    fn cancel(&self, limit: &Limit) -> bool {
        let tap = Arc::new(Tap::new());
        tap.linger();
        let cut = Arc::clone(&tap);
        limit.on_cut(move || cut.sever());
        let deadline = limit.deadline().or_else(|| Instant::now().checked_add(LONGEST_CANCEL));
        let connector = Connector { tap, deadline, ..self.connector.clone() };
        self.token.cancel_query(connector).is_ok()
    }

    fn sever(&self) {
        self.tap.sever();
    }
}

const LONGEST_CANCEL: Duration = Duration::from_secs(10);
