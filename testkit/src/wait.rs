//! Waiting for what another thread does, without a guess how long that takes.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `condition` holds, for at most a minute. `what` says what that is.
///
/// # Panics
///
/// If it does not hold in that time.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    let mut pause = SHORTEST_PAUSE;
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "in vain waited for: {what}");
        thread::park_timeout(pause);
        // The condition may be a question to a server that has better things to do.
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// What `work` answers, and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let answer = work();
    (answer, begun.elapsed())
}

/// Far longer than anything takes, on a busy machine and with a server in it, too.
const PATIENCE: Duration = Duration::from_secs(60);
const SHORTEST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(2);
