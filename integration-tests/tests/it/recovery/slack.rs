//! What a promise about time may be off by: a quarter of a second; more, a second at most, where this machine has so much else to do
//! that it wakes even a thread late that only sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Looks how late the machine is for as long as it lives. Begun with the time that is measured, for what was before has no part in it.
pub(crate) struct Slack(Arc<Lateness>);

#[derive(Default)]
struct Lateness {
    over: AtomicBool,
    /// The latest awakening, in microseconds.
    latest: AtomicU64,
}

impl Slack {
    pub(crate) fn begin() -> Self {
        let lateness = Arc::<Lateness>::default();
        let sleeper = lateness.clone();
        thread::spawn(move || {
            while !sleeper.over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                thread::sleep(NAP);
                let late = begun.elapsed().saturating_sub(NAP);
                sleeper.latest.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
            }
        });
        Self(lateness)
    }

    /// What is promised passes through the hands of several threads and processes, each of which may be as late.
    pub(crate) fn get(&self) -> Duration {
        let late = HANDS * Duration::from_micros(self.0.latest.load(Ordering::Relaxed));
        late.clamp(LEAST, MOST)
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

const LEAST: Duration = Duration::from_millis(250);
const HANDS: u32 = 4;
/// A machine that is later than that tells nothing about promises.
const MOST: Duration = Duration::from_secs(1);
const NAP: Duration = Duration::from_millis(2);
