//! What the tests share: pools with short limits, waiting for a condition, and the question whether a pool is whole.

use crate::fake::{Fake, FakeConn, FakeError};
use crate::server::{Call, ORDERED, Server, World};
use cabrank::{
    Builder, CallEnded, CheckedIn, CheckedOut, CloseReason, ConnectionClosed, EventHandler, Holder, OpenFailed, Opened,
    Report,
};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

pub(crate) type Pool = cabrank::Pool<Fake<true>>;
pub(crate) type Guard = cabrank::PooledConnection<Fake<true>>;

/// What a promise about time may be off by.
pub(crate) const SLACK: Duration = Duration::from_millis(250);

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Defaults, but nobody waits for half a minute if a test fails.
pub(crate) fn builder() -> Builder<Fake<true>> {
    Pool::builder().acquire_timeout(Duration::from_secs(10))
}

/// A pool of this size, and nothing open yet.
pub(crate) fn pool_of(server: &Server, max_size: u32) -> Pool {
    server.allow(max_size as usize);
    builder().max_size(max_size).build_lazy(server.manager()).unwrap()
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(20), "in vain waited for: {what}");
        std::thread::park_timeout(Duration::from_micros(200));
    }
}

/// What `work` answers, and how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let answer = work();
    (answer, begin.elapsed())
}

/// Checks out `count` connections at once.
#[track_caller]
pub(crate) fn hold<const R: bool>(
    pool: &cabrank::Pool<Fake<R>>,
    count: u32,
) -> Vec<cabrank::PooledConnection<Fake<R>>> {
    (0..count).map(|_| pool.get().unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// No slot is lost: after the troubles are over, all connections can be held at the same time, and the numbers add up.
#[track_caller]
pub(crate) fn assert_whole<const R: bool>(server: &Server, pool: &cabrank::Pool<Fake<R>>) {
    let size = pool.stats().max_size;
    eventually("what was lent or worked on comes back", || {
        let stats = pool.stats();
        stats.in_use + stats.opening + stats.checking + stats.resetting + stats.closing + stats.aborted == 0
    });
    let mut held = hold(pool, size);
    eventually("what was found dead meanwhile is gone", || pool.stats().aborted == 0);
    held.iter_mut().for_each(|conn| conn.query().expect("a fresh connection works"));
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.open, stats.idle), (size, size, 0), "{stats:?}");
    assert_eq!(stats.opening + stats.checking + stats.resetting + stats.closing + stats.waiting, 0, "{stats:?}");
    assert_eq!(stats.stuck + stats.abandoned, 0, "{stats:?}");
    assert_eq!(server.live(), size as usize, "sessions at the server");
    drop(held);
    let counts = pool.stats();
    assert_eq!(
        counts.checked_out_at_once + counts.checked_out_after_waiting - counts.rejected_at_checkout,
        counts.returned
    );
}

/// Closes the pool: everything must go.
#[track_caller]
pub(crate) fn assert_closes_clean<const R: bool>(server: &Server, pool: &cabrank::Pool<Fake<R>>) {
    let report = pool.close_within(Duration::from_secs(10));
    assert!(report.is_clean(), "{report}");
    assert_eq!(server.live(), 0, "sessions at the server");
    let stats = pool.stats();
    assert_eq!(stats.open + stats.opening + stats.closing + stats.aborted, 0, "{stats:?}");
    assert_eq!(stats.opened, stats.closed.total(), "each connection that was opened was closed");
}

/// Panics that were ordered are not worth a line on the screen.
pub(crate) fn hush() {
    static HUSH: Once = Once::new();
    HUSH.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.payload().downcast_ref::<String>();
            let ordered = text.is_some_and(|text| text.starts_with(ORDERED));
            if !ordered {
                usual(panic);
            }
        }));
    });
}

/// Runs `set_up` as the server's orders want it, and counts.
pub(crate) fn set_up(world: Arc<World>) -> impl Fn(&mut FakeConn) -> Result<(), FakeError> + Send + Sync {
    move |conn| {
        world.hook(Call::OnOpen)?;
        conn.set_ups += 1;
        Ok(())
    }
}

/// Hears all events and writes them down, as the server's orders want it.
pub(crate) struct Ear {
    world: Arc<World>,
    heard: Mutex<Vec<String>>,
}

impl Ear {
    pub(crate) fn new(server: &Server) -> Arc<Self> {
        Arc::new(Self { world: server.world(), heard: Mutex::default() })
    }

    /// How many lines begin with this.
    pub(crate) fn count(&self, beginning: &str) -> usize {
        self.heard().iter().filter(|line| line.starts_with(beginning)).count()
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn note(&self, line: String) {
        self.heard.lock().unwrap().push(line);
        let _ = self.world.hook(Call::Event);
    }
}

impl EventHandler for Ear {
    fn opened(&self, event: &Opened<'_>) {
        self.note(format!("opened {}", event.id));
    }
    fn open_failed(&self, event: &OpenFailed<'_>) {
        self.note(format!("open failed: {}", event.error));
    }
    fn checked_out(&self, event: &CheckedOut<'_>) {
        self.note(format!("checked out {}", event.id));
    }
    fn checked_in(&self, event: &CheckedIn<'_>) {
        self.note(format!("checked in {}", event.id));
    }
    fn timed_out(&self, report: &Report) {
        self.note(format!("timed out: {report}"));
    }
    fn overloaded(&self, report: &Report) {
        self.note(format!("overloaded: {report}"));
    }
    fn checked(&self, event: &CallEnded<'_>) {
        self.note(format!("checked {}: {}", event.id, verdict(event)));
    }
    fn reset(&self, event: &CallEnded<'_>) {
        self.note(format!("reset {}: {}", event.id, verdict(event)));
    }
    fn closed(&self, event: &ConnectionClosed<'_>) {
        self.note(format!("closed {}: {} after {}", event.id, event.reason, event.uses));
    }
    fn leaked(&self, pool: &str, holder: &Holder) {
        self.note(format!("leaked {pool}: {holder}"));
    }
}

fn verdict(event: &CallEnded<'_>) -> String {
    event.error.map_or("ok".to_owned(), ToString::to_string)
}

/// How many connections were closed for this reason.
pub(crate) fn closed_by<const R: bool>(pool: &cabrank::Pool<Fake<R>>, reason: CloseReason) -> u64 {
    pool.stats().closed.by(reason)
}
