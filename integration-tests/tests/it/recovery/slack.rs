//! The tolerance of a guarantee about time: a quarter of a second, or up to a second on a machine so busy that even a sleeping thread
//! wakes late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Measures how late the machine is for as long as it lives. Begin it together with the measured time: earlier delays do not count.
pub(crate) struct Slack(Arc<Lateness>);

#[derive(Default)]
struct Lateness {
    over: AtomicBool,
    /// The longest delay of a wake-up, in microseconds.
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

    /// A guaranteed step passes through several threads and processes, each of which may be this late.
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
/// On a machine with longer delays, guarantees cannot be tested.
const MOST: Duration = Duration::from_secs(1);
const NAP: Duration = Duration::from_millis(2);
