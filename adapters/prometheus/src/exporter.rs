//! The pools whose numbers are written.

use crate::series;
use crate::text::Text;
use cabrank::{Manager, Pool, Stats};
use std::fmt;

/// Writes the numbers of pools in the text format that Prometheus scrapes.
///
/// Cheap to ask: one look at each pool, which takes its lock for about a microsecond.
#[derive(Default)]
pub struct Exporter {
    pools: Vec<Source>,
}

/// A pool's name and numbers; `None` once it is gone.
type Source = Box<dyn Fn() -> Option<(String, Stats)> + Send + Sync>;

impl Exporter {
    /// One that writes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also writes the numbers of this pool, as long as it lives.
    pub fn with<M: Manager>(mut self, pool: &Pool<M>) -> Self {
        self.add(pool);
        self
    }

    /// As [`with`](Self::with), for a pool that comes later.
    pub fn add<M: Manager>(&mut self, pool: &Pool<M>) {
        let pool = pool.downgrade();
        self.pools.push(Box::new(move || {
            let pool = pool.upgrade()?;
            Some((pool.config().name.clone(), pool.stats()))
        }));
    }

    /// The numbers at this moment.
    pub fn text(&self) -> String {
        let pools: Vec<_> = self.pools.iter().filter_map(|look| look()).collect();
        let mut text = Text::default();
        series::write(&mut text, &pools);
        text.finish()
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("pools", &self.pools.len()).finish()
    }
}
