//! The samples for the charts while nobody reads: one a second, by the runtime that serves the page.

use crate::hub::Hub;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval_at};

/// Has this runtime keep the watch, unless one does already or none is wanted. Outside of a runtime it does nothing.
pub(crate) fn watch(hub: &Arc<Hub>) {
    let Ok(runtime) = Handle::try_current() else { return };
    if hub.begins_watch() {
        runtime.spawn(Watch(Arc::downgrade(hub)).keep(hub.first()));
    }
}

/// It keeps no monitor alive, and ends with its runtime: then another may begin.
struct Watch(Weak<Hub>);

impl Watch {
    /// In the middle of each second of the charts: a tick that is a little late leaves out none.
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
