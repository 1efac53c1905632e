//! Pushes durations, because a meter cannot pull histograms.

use crate::{names, series};
use cabrank::{CheckedIn, CheckedOut, EventHandler, Opened, Report};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};
use std::sync::OnceLock;
use std::time::Duration;

pub(crate) struct Recorder {
    times: Times<Histogram<f64>>,
    /// Those of the pool that came first, usually the only one.
    first: OnceLock<(String, Times<OfPool>)>,
}

#[derive(Clone)]
pub(crate) struct Times<T> {
    wait: T,
    usage: T,
    create: T,
}

impl Times<Histogram<f64>> {
    pub(crate) fn new(meter: &Meter) -> Self {
        let histogram = |(name, help)| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(help);
            histogram.with_boundaries(series::boundaries()).build()
        };
        Self {
            wait: histogram(series::WAIT_TIME),
            usage: histogram(series::USE_TIME),
            create: histogram(series::CREATE_TIME),
        }
    }

    fn of_pool(&self, pool: &str) -> Times<OfPool> {
        let of_pool = |histogram| OfPool::new(histogram, pool);
        Times { wait: of_pool(&self.wait), usage: of_pool(&self.usage), create: of_pool(&self.create) }
    }
}

impl Recorder {
    pub(crate) fn new(times: Times<Histogram<f64>>) -> Self {
        Self { times, first: OnceLock::new() }
    }

    fn record(&self, pool: &str, span: Duration, which: fn(&Times<OfPool>) -> &OfPool) {
        let (first, times) = self.first.get_or_init(|| (pool.to_owned(), self.times.of_pool(pool)));
        match first == pool {
            true => which(times).record(span),
            false => which(&self.times.of_pool(pool)).record(span),
        }
    }
}

impl EventHandler for Recorder {
    fn opened(&self, event: &Opened<'_>) {
        self.record(event.pool, event.took, |times| &times.create);
    }

    fn checked_out(&self, event: &CheckedOut<'_>) {
        self.record(event.pool, event.waited, |times| &times.wait);
    }

    fn timed_out(&self, report: &Report) {
        self.record(&report.pool, report.waited, |times| &times.wait);
    }

    fn checked_in(&self, event: &CheckedIn<'_>) {
        self.record(event.pool, event.used, |times| &times.usage);
    }
}

/// A histogram, and the attribute of one pool.
#[cfg(not(feature = "bound"))]
struct OfPool(Histogram<f64>, [KeyValue; 1]);

#[cfg(not(feature = "bound"))]
impl OfPool {
    fn new(histogram: &Histogram<f64>, pool: &str) -> Self {
        Self(histogram.clone(), [KeyValue::new(names::POOL_NAME, pool.to_owned())])
    }

    fn record(&self, span: Duration) {
        self.0.record(span.as_secs_f64(), &self.1);
    }
}

/// As above, with the attribute looked up once.
#[cfg(feature = "bound")]
struct OfPool(opentelemetry::metrics::BoundHistogram<f64>);

#[cfg(feature = "bound")]
impl OfPool {
    fn new(histogram: &Histogram<f64>, pool: &str) -> Self {
        Self(histogram.bind(&[KeyValue::new(names::POOL_NAME, pool.to_owned())]))
    }

    fn record(&self, span: Duration) {
        self.0.record(span.as_secs_f64());
    }
}
