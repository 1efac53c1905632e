//! The exported pools.

use crate::series;
use crate::series::Look;
use crate::text::Text;
use cabrank::{Manager, Pool};
use std::fmt;

/// Writes the statistics of pools in the text format that Prometheus scrapes.
///
/// A scrape is cheap: it reads each pool twice, and each read takes the pool's lock for about a microsecond.
///
/// ```
/// use cabrank_prometheus::Exporter;
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
///
/// let pool = Pool::builder().name("accounts").build(Toy)?;
/// let exporter = Exporter::new().with(&pool);
/// assert!(exporter.text().contains("# TYPE db_client_connection_count gauge"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Exporter {
    pools: Vec<Source>,
}

/// `None` once the pool is gone.
type Source = Box<dyn Fn() -> Option<Look> + Send + Sync>;

impl Exporter {
    /// Creates an exporter without pools.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pool, for as long as it lives.
    pub fn with<M: Manager>(mut self, pool: &Pool<M>) -> Self {
        self.add(pool);
        self
    }

    /// Like [`with`](Self::with), for a pool that is built later.
    pub fn add<M: Manager>(&mut self, pool: &Pool<M>) {
        let pool = pool.downgrade();
        self.pools.push(Box::new(move || {
            let pool = pool.upgrade()?;
            Some(Look { name: pool.config().name.clone(), stats: pool.stats(), health: pool.health().as_str() })
        }));
    }

    /// Returns the current statistics in the text format.
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
