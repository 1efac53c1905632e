//! The observed pools, and the instruments that observe them.

use crate::names;
use crate::recorder::{Recorder, Times};
use crate::series;
use crate::series::{FAMILIES, Kind};
use cabrank::{CloseReason, EventHandler, Manager, Pool, Stats};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The metrics of pools, on one meter. Clones are cheap and share the same metrics.
///
/// Create one per process: a meter keeps its callbacks forever.
///
/// ```
/// use cabrank_otel::Metrics;
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
///
/// let metrics = Metrics::new(&opentelemetry::global::meter("cabrank"));
/// let pool = Pool::builder().name("accounts").event_handler(metrics.recorder()).build(Toy)?;
/// metrics.observe(&pool);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Metrics {
    pools: Pools,
    times: Times<Histogram<f64>>,
}

/// The state of a pool at one moment.
pub(crate) struct Look {
    pub(crate) stats: Stats,
    health: &'static str,
    name: String,
}

/// `None` once the pool is gone.
type Source = Box<dyn Fn() -> Option<Look> + Send + Sync>;

#[derive(Clone, Default)]
struct Pools(Arc<Mutex<Vec<Source>>>);

impl Metrics {
    /// Creates all instruments, on a meter such as `opentelemetry::global::meter("cabrank")`.
    pub fn new(meter: &Meter) -> Self {
        let metrics = Self { pools: Pools::default(), times: Times::new(meter) };
        FAMILIES.iter().for_each(|family| metrics.pools.observe_by(meter, family));
        metrics.pools.observe_closings(meter);
        metrics
    }

    /// Observes this pool at each collection, for as long as it lives, at no cost to loans. Each metric reads the pool, which takes its
    /// lock for about a microsecond.
    pub fn observe<M: Manager>(&self, pool: &Pool<M>) {
        let pool = pool.downgrade();
        self.pools.lock().push(Box::new(move || {
            let pool = pool.upgrade()?;
            Some(Look { stats: pool.stats(), health: pool.health().as_str(), name: pool.config().name.clone() })
        }));
    }

    /// Returns an event handler that records the three histograms of one pool, for
    /// [`Builder::event_handler`](cabrank::Builder::event_handler). Without it there are no histograms, and loans cost nothing extra.
    /// With it each loan costs two records.
    ///
    /// Several pools can share one handler, at the cost of an allocation per record for all but the first pool.
    pub fn recorder(&self) -> Arc<dyn EventHandler> {
        Arc::new(Recorder::new(self.times.clone()))
    }
}

impl Look {
    /// 1 if the pool has this health.
    pub(crate) fn is(&self, health: &str) -> u64 {
        u64::from(self.health == health)
    }
}

impl Pools {
    fn observe_by(&self, meter: &Meter, family: &'static series::Family) {
        let pools = self.clone();
        let values = move |mut observe: Box<dyn FnMut(u64, &[KeyValue]) + '_>| {
            for look in pools.look() {
                for (value, number) in family.values {
                    let attributes =
                        [KeyValue::new(names::POOL_NAME, look.name.clone()), KeyValue::new(family.attribute, *value)];
                    observe(number(&look), if family.attribute.is_empty() { &attributes[..1] } else { &attributes });
                }
            }
        };
        match family.kind {
            Kind::Counter => {
                let counter = meter.u64_observable_counter(family.name).with_unit(family.unit);
                let counter = counter.with_description(family.help);
                counter
                    .with_callback(move |to| values(Box::new(|value, attributes| to.observe(value, attributes))))
                    .build();
            }
            Kind::Gauge => {
                let gauge = meter.i64_observable_up_down_counter(family.name).with_unit(family.unit);
                let gauge = gauge.with_description(family.help);
                gauge
                    .with_callback(move |to| values(Box::new(|value, attributes| to.observe(value as i64, attributes))))
                    .build();
            }
        }
    }

    fn observe_closings(&self, meter: &Meter) {
        let (pools, (unit, help)) = (self.clone(), series::CLOSED);
        let counter = meter.u64_observable_counter(names::CLOSED).with_unit(unit).with_description(help);
        let counter = counter.with_callback(move |to| {
            for look in pools.look() {
                for reason in CloseReason::ALL {
                    let pool = KeyValue::new(names::POOL_NAME, look.name.clone());
                    to.observe(look.stats.closed.by(*reason), &[pool, KeyValue::new("reason", reason.as_str())]);
                }
            }
        });
        counter.build();
    }

    /// Reads all pools that still exist, and drops the others.
    fn look(&self) -> Vec<Look> {
        let mut looks = Vec::new();
        self.lock().retain(|look| {
            look().is_some_and(|look| {
                looks.push(look);
                true
            })
        });
        looks
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Source>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("pools", &self.pools.lock().len()).finish_non_exhaustive()
    }
}
