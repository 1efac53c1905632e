//! The pools whose numbers are written.

use crate::series;
use crate::series::Look;
use crate::text::Text;
use cabrank::{Manager, Pool};
use std::fmt;

/// Writes the numbers of pools in the text format that Prometheus scrapes.
///
/// Cheap to ask: two looks at each pool, each of which takes its lock for about a microsecond.
#[derive(Default)]
pub struct Exporter {
    pools: Vec<Source>,
}

/// `None` once the pool is gone.
type Source = Box<dyn Fn() -> Option<Look> + Send + Sync>;

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
            Some(Look { name: pool.config().name.clone(), stats: pool.stats(), health: pool.health().as_str() })
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
