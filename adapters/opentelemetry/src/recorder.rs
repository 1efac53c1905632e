//! Pushes durations, for which a meter has no way to be asked.

use crate::names;
use crate::series;
use cabrank::{CheckedIn, CheckedOut, EventHandler, Opened, Report};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};
use std::sync::OnceLock;
use std::time::Duration;

pub(crate) struct Recorder {
    times: Times,
    /// The pool that was met first, most often the only one: its attribute is made once.
    first: OnceLock<(String, [KeyValue; 1])>,
}

#[derive(Clone)]
pub(crate) struct Times {
    wait: Histogram<f64>,
    usage: Histogram<f64>,
    create: Histogram<f64>,
}

impl Times {
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
}

impl Recorder {
    pub(crate) fn new(times: Times) -> Self {
        Self { times, first: OnceLock::new() }
    }

    fn record(&self, times: &Histogram<f64>, pool: &str, span: Duration) {
        let attribute = || [KeyValue::new(names::POOL_NAME, pool.to_owned())];
        let (first, known) = self.first.get_or_init(|| (pool.to_owned(), attribute()));
        match first == pool {
            true => times.record(span.as_secs_f64(), known),
            false => times.record(span.as_secs_f64(), &attribute()),
        }
    }
}

impl EventHandler for Recorder {
    fn opened(&self, event: &Opened<'_>) {
        self.record(&self.times.create, event.pool, event.took);
    }

    fn checked_out(&self, event: &CheckedOut<'_>) {
        self.record(&self.times.wait, event.pool, event.waited);
    }

    fn timed_out(&self, report: &Report) {
        self.record(&self.times.wait, &report.pool, report.waited);
    }

    fn checked_in(&self, event: &CheckedIn<'_>) {
        self.record(&self.times.usage, event.pool, event.used);
    }
}
