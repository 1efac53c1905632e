//! Waits for effects of another thread, without a guess how long that takes.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `condition` holds, for at most a minute. `what` describes the condition.
///
/// # Panics
///
/// If it does not hold by then.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    let mut pause = SHORTEST_PAUSE;
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        thread::park_timeout(pause);
        // The condition may be a query, and the server may be busy.
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Returns the result of `work`, and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let answer = work();
    (answer, begun.elapsed())
}

/// Far longer than anything takes, even on a busy machine with a server on it.
const PATIENCE: Duration = Duration::from_secs(60);
const SHORTEST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(2);
