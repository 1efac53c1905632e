//! The pools that are shown.

use crate::recorder::Recorder;
use cabrank::{Manager, Overview, Pool, Stats, WeakPool};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The pools that a page shows. It keeps none of them open; one that is gone is shown no more. Clones are the same collection.
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
    /// By what it is told from others, of the same name perhaps.
    pub(crate) key: u64,
    pub(crate) name: String,
    pub(crate) now: Overview,
}

impl Pools {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also shows this pool, as long as it lives.
    pub fn with<M: Manager>(self, pool: &Pool<M>) -> Self {
        self.add(pool);
        self
    }

    /// As [`with`](Self::with), for a pool that comes later: a page that is open shows it with its next look.
    pub fn add<M: Manager>(&self, pool: &Pool<M>) {
        let source = Arc::new(pool.downgrade());
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.added += 1;
        let key = inside.added;
        inside.sources.push((key, source));
    }

    /// Also shows the newest events, as far as the pools were [built with this recorder](Recorder).
    pub fn with_events(self, recorder: &Arc<Recorder>) -> Self {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).recorder = Some(Arc::clone(recorder));
        self
    }

    pub(crate) fn recorder(&self) -> Option<Arc<Recorder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).recorder.clone()
    }

    /// Looks at each of them once.
    pub(crate) fn look(&self) -> Vec<Sight> {
        let sights = self.each(|pool| pool.look());
        sights.into_iter().map(|(key, (name, now))| Sight { key, name, now }).collect()
    }

    /// The numbers of each, which cost less than a look.
    pub(crate) fn stats(&self) -> Vec<(u64, Stats)> {
        self.each(|pool| pool.stats())
    }

    /// Asks each of them. Those that are gone are forgotten.
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
