//! The pools that a page shows.

use crate::recorder::Recorder;
use cabrank::{Manager, Overview, Pool, Stats, WeakPool};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The pools that a page shows. Keeps none of them open; a pool that is gone disappears from the page. Clones share one collection.
///
/// ```
/// use cabrank_monitor::{Monitor, Pools};
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
///
/// let orders = Pool::builder().name("orders").build(Toy)?;
/// let pools = Pools::new().with(&orders);
/// let monitor = Monitor::new(pools.clone());
///
/// let reports = Pool::builder().name("reports").build(Toy)?;
/// pools.add(&reports); // open pages show it, too
/// # let _ = monitor;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Pools(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    sources: Vec<(u64, Arc<dyn Source>)>,
    added: u64,
    recorder: Option<Arc<Recorder>>,
}

/// A pool of any manager; `None` once it is gone.
trait Source: Send + Sync {
    fn look(&self) -> Option<(String, Overview)>;
    fn stats(&self) -> Option<Stats>;
}

impl<M: Manager> Source for WeakPool<M> {
    fn look(&self) -> Option<(String, Overview)> {
        let pool = self.upgrade()?;
        Some((pool.config().name.clone(), pool.overview()))
    }

    fn stats(&self) -> Option<Stats> {
        Some(self.upgrade()?.stats())
    }
}

/// A pool at one moment.
pub(crate) struct Sight {
    /// Distinguishes the pool from others, which may have the same name.
    pub(crate) key: u64,
    pub(crate) name: String,
    pub(crate) now: Overview,
}

impl Pools {
    /// Creates an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pool, for as long as it lives.
    pub fn with<M: Manager>(self, pool: &Pool<M>) -> Self {
        self.add(pool);
        self
    }

    /// Like [`with`](Self::with), for a pool that is built later: open pages show it from the next look on.
    pub fn add<M: Manager>(&self, pool: &Pool<M>) {
        let source = Arc::new(pool.downgrade());
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.added += 1;
        let key = inside.added;
        inside.sources.push((key, source));
    }

    /// Also shows the newest events of the pools that were [built with this recorder](Recorder).
    pub fn with_events(self, recorder: &Arc<Recorder>) -> Self {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).recorder = Some(Arc::clone(recorder));
        self
    }

    pub(crate) fn recorder(&self) -> Option<Arc<Recorder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).recorder.clone()
    }

    /// One look at each pool.
    pub(crate) fn look(&self) -> Vec<Sight> {
        let sights = self.each(|pool| pool.look());
        sights.into_iter().map(|(key, (name, now))| Sight { key, name, now }).collect()
    }

    /// The numbers of each pool, which cost less than a look.
    pub(crate) fn stats(&self) -> Vec<(u64, Stats)> {
        self.each(|pool| pool.stats())
    }

    /// Queries each pool, and removes those that are gone.
    fn each<T>(&self, ask: impl Fn(&dyn Source) -> Option<T>) -> Vec<(u64, T)> {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner).sources.clone();
        let mut gone = Vec::new();
        let mut answers = Vec::with_capacity(sources.len());
        for (key, source) in sources {
            match ask(&*source) {
                Some(answer) => answers.push((key, answer)),
                None => gone.push(key),
            }
        }
        if !gone.is_empty() {
            let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            inside.sources.retain(|(key, _)| !gone.contains(key));
        }
        answers
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.lock().unwrap_or_else(PoisonError::into_inner).sources.len();
        f.debug_struct("Pools").field("pools", &count).finish()
    }
}
