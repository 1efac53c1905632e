//! Samples for the charts while nobody reads: one per second, taken by the runtime that serves the page.

use crate::hub::Hub;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval_at};

/// Makes this runtime run the watch, unless one is running or none is wanted. Has no effect outside of a runtime.
pub(crate) fn watch(hub: &Arc<Hub>) {
    let Ok(runtime) = Handle::try_current() else { return };
    if hub.begins_watch() {
        runtime.spawn(Watch(Arc::downgrade(hub)).keep(hub.first()));
    }
}

/// Does not keep the monitor alive, and ends with its runtime: then another may begin.
struct Watch(Weak<Hub>);

impl Watch {
    /// Ticks in the middle of each second of the charts, so a slightly late tick skips none.
    async fn keep(self, first: Instant) {
        let mut ticks = interval_at((first + SECOND / 2).into(), SECOND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let goes_on = self.0.upgrade().is_some_and(|hub| hub.sample());
            if !goes_on {
                return;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(hub) = self.0.upgrade() {
            hub.ends_watch();
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
