//! A recorder of the events that a pool sends to its handler.

use cabrank::{
    CallEnded, CheckedIn, CheckedOut, ConnectionClosed, EventHandler, Holder, OpenFailed, Opened, Refused, Remarked,
    Report,
};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Records each event as a line of text, for a test to find.
///
/// | event | line |
/// |---|---|
/// | `opened` | `opened 1` |
/// | `open_failed` | `open failed: ` and the error |
/// | `checked_out`, `checked_in` | `checked out 1`, `checked in 1` |
/// | `timed_out`, `overloaded` | `timed out: `, `overloaded: ` and the report |
/// | `refused` | `refused: not_available`: the reason |
/// | `checked`, `reset` | `checked 1: ok`, `reset 1: ` and the error |
/// | `closed` | `closed 1: expired after 7`: the reason, and how often it was lent |
/// | `remarked` | `remarked 1: ` and the remark |
/// | `leaked` | `leaked ` and the pool's name, `: ` and the holder |
///
/// ```
/// use cabrank::Pool;
/// use cabrank_testing::Recorder;
/// use cabrank_testing::fake::FakeServer;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (server, recorder) = (FakeServer::new(), Recorder::new());
/// let pool = Pool::builder().event_handler(recorder.clone()).build_lazy(server.manager())?;
/// drop(pool.get()?);
/// assert_eq!(recorder.events(), ["opened 1", "checked out 1", "checked in 1"]);
/// # Ok(())
/// # }
/// ```
pub struct Recorder {
    events: Mutex<Vec<String>>,
    then: Box<dyn Fn() + Send + Sync>,
}

impl Recorder {
    /// A recorder that only records.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::then(|| {}))
    }

    /// A recorder that also calls `then` after each event, in the thread that sends it.
    pub fn then(then: impl Fn() + Send + Sync + 'static) -> Self {
        Self { events: Mutex::default(), then: Box::new(then) }
    }

    /// All events so far, in the order of arrival.
    pub fn events(&self) -> Vec<String> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of events that begin with this.
    pub fn count(&self, beginning: &str) -> usize {
        self.events().iter().filter(|line| line.starts_with(beginning)).count()
    }

    fn record(&self, line: String) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        (self.then)();
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("events", &self.events()).finish_non_exhaustive()
    }
}

impl EventHandler for Recorder {
    fn opened(&self, event: &Opened<'_>) {
        self.record(format!("opened {}", event.id));
    }
    fn open_failed(&self, event: &OpenFailed<'_>) {
        self.record(format!("open failed: {}", event.error));
    }
    fn checked_out(&self, event: &CheckedOut<'_>) {
        self.record(format!("checked out {}", event.id));
    }
    fn checked_in(&self, event: &CheckedIn<'_>) {
        self.record(format!("checked in {}", event.id));
    }
    fn timed_out(&self, report: &Report) {
        self.record(format!("timed out: {report}"));
    }
    fn overloaded(&self, report: &Report) {
        self.record(format!("overloaded: {report}"));
    }
    fn refused(&self, event: &Refused<'_>) {
        self.record(format!("refused: {}", event.reason));
    }
    fn remarked(&self, event: &Remarked<'_>) {
        self.record(format!("remarked {}: {}", event.id, event.remark));
    }
    fn checked(&self, event: &CallEnded<'_>) {
        self.record(format!("checked {}: {}", event.id, end(event)));
    }
    fn reset(&self, event: &CallEnded<'_>) {
        self.record(format!("reset {}: {}", event.id, end(event)));
    }
    fn closed(&self, event: &ConnectionClosed<'_>) {
        self.record(format!("closed {}: {} after {}", event.id, event.reason, event.uses));
    }
    fn leaked(&self, pool: &str, holder: &Holder) {
        self.record(format!("leaked {pool}: {holder}"));
    }
}

fn end(event: &CallEnded<'_>) -> String {
    event.error.map_or("ok".to_owned(), ToString::to_string)
}
