//! The monitored pools.

use crate::recorder::Recorder;
use cabrank::{Manager, Overview, Pool};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The pools that a page shows. The collection keeps none of them open; a pool that is gone is no longer shown. Clones share one
/// collection.
#[derive(Clone, Default)]
pub struct Pools(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    sources: Vec<(u64, Source)>,
    added: u64,
    recorder: Option<Arc<Recorder>>,
}

/// Reads a pool; `None` once it is gone.
type Source = Arc<dyn Fn() -> Option<(String, Overview)> + Send + Sync>;

/// A pool at one moment.
pub(crate) struct Sight {
    /// Distinguishes it from others, perhaps of the same name.
    pub(crate) key: u64,
    pub(crate) name: String,
    pub(crate) now: Overview,
}

impl Pools {
    /// Creates an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds this pool, for as long as it lives.
    pub fn with<M: Manager>(self, pool: &Pool<M>) -> Self {
        self.add(pool);
        self
    }

    /// Like [`with`](Self::with), for a pool that is built later: an open page shows it with its next update.
    pub fn add<M: Manager>(&self, pool: &Pool<M>) {
        let pool = pool.downgrade();
        let source: Source = Arc::new(move || {
            let pool = pool.upgrade()?;
            Some((pool.config().name.clone(), pool.overview()))
        });
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.added += 1;
        let key = inside.added;
        inside.sources.push((key, source));
    }

    /// Adds the newest events of the pools that were [built with this recorder](Recorder).
    pub fn with_events(self, recorder: &Arc<Recorder>) -> Self {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).recorder = Some(Arc::clone(recorder));
        self
    }

    pub(crate) fn recorder(&self) -> Option<Arc<Recorder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).recorder.clone()
    }

    /// Reads each pool once, and drops those that are gone.
    pub(crate) fn look(&self) -> Vec<Sight> {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner).sources.clone();
        let mut gone = Vec::new();
        let mut sights = Vec::with_capacity(sources.len());
        for (key, source) in sources {
            match source() {
                Some((name, now)) => sights.push(Sight { key, name, now }),
                None => gone.push(key),
            }
        }
        if !gone.is_empty() {
            let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            inside.sources.retain(|(key, _)| !gone.contains(key));
        }
        sights
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.lock().unwrap_or_else(PoisonError::into_inner).sources.len();
        f.debug_struct("Pools").field("pools", &count).finish()
    }
}
