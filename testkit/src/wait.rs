//! Waiting for what another thread does, without a guess how long that takes.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `condition` holds, for at most twenty seconds. `what` says what that is.
///
/// # Panics
///
/// If it does not hold in that time.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "in vain waited for: {what}");
        thread::park_timeout(Duration::from_micros(200));
    }
}

/// What `work` answers, and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let answer = work();
    (answer, begun.elapsed())
}

const PATIENCE: Duration = Duration::from_secs(20);
