//! The metrics in the text of OpenTelemetry's own exporter, compared with the output of `cabrank-prometheus` for the same pool.

use cabrank::{Builder, Fault, Pool, PooledConnection};
use cabrank_otel::Metrics;
use cabrank_prometheus::Exporter;
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeManager, FakeServer, Outcome};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use std::collections::BTreeMap;
use std::time::Duration;

/// OpenTelemetry's own exporter to Prometheus text.
struct Otel {
    registry: Registry,
    metrics: Metrics,
    _provider: SdkMeterProvider,
}

impl Otel {
    fn new() -> Self {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().unwrap();
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let metrics = Metrics::new(&provider.meter("cabrank"));
        Self { registry, metrics, _provider: provider }
    }

    fn text(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }
}

/// A parsed Prometheus text: the kind and the help of each family, and the value of each series, by its name and sorted labels.
#[derive(Debug, PartialEq, Default)]
struct Read {
    families: BTreeMap<String, [String; 2]>,
    values: BTreeMap<String, f64>,
}

impl Read {
    fn of(text: &str) -> Self {
        let mut read = Self::default();
        for line in text.lines().filter(|line| !line.contains("target_info")) {
            let words: Vec<_> = line.splitn(4, ' ').collect();
            match words[..] {
                ["#", "HELP", name, help] => read.families.entry(name.to_owned()).or_default()[0] = help.to_owned(),
                ["#", "TYPE", name, kind] => read.families.entry(name.to_owned()).or_default()[1] = kind.to_owned(),
                _ => {
                    let (series, value) = line.rsplit_once(' ').expect(line);
                    read.values.insert(sorted(series), value.parse().expect(line));
                }
            }
        }
        read
    }

    /// The value of this series, which has these labels besides the pool's name.
    fn value(&self, series: &str) -> f64 {
        *self.values.get(&sorted(series)).unwrap_or_else(|| panic!("no {series}"))
    }
}

/// The labels in order, without those of a scope, and the ends of buckets in one style.
fn sorted(series: &str) -> String {
    let (name, labels) = series.strip_suffix('}').and_then(|series| series.split_once('{')).expect(series);
    let mut labels: Vec<_> = labels.split("\",").map(|label| label.trim_end_matches('"').to_owned()).collect();
    labels.retain(|label| !label.starts_with("otel_scope_"));
    for label in &mut labels {
        if let Some(end) = label.strip_prefix("le=\"") {
            *label = format!("le=\"{:?}", end.parse::<f64>().expect(series));
        }
    }
    labels.sort();
    format!("{name}{{{}}}", labels.join(","))
}

fn builder(name: &str) -> Builder<FakeManager> {
    Pool::builder().name(name).max_size(2).acquire_timeout(Duration::from_millis(20))
}

/// Some of everything: loans at once and after a wait, a time-out, a reset, failed openings, a discarded connection.
fn live(server: &FakeServer, builder: Builder<FakeManager>) -> Pool<FakeManager> {
    server.next(Call::Connect, Outcome::Err(Fault::WrongRole));
    let pool = builder.build(server.manager()).unwrap();
    let (one, two) = (pool.get().unwrap(), pool.get_timeout(Duration::from_secs(10)).unwrap());
    assert!(pool.get().is_err_and(|error| error.is_timeout()));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.get_timeout(Duration::from_secs(10)).unwrap().litter());
        eventually("somebody waits", || pool.stats().waiting == 1);
        drop(one);
        waiter.join().unwrap();
    });
    PooledConnection::discard(two);
    (0..100).for_each(|_| drop(pool.get_timeout(Duration::from_secs(10)).unwrap()));
    eventually("all are at rest", || {
        let stats = pool.stats();
        stats.idle == stats.open && stats.opening + stats.resetting + stats.closing == 0
    });
    pool
}

#[test]
fn both_exporters_render_the_same_series_with_the_same_values() {
    let (server, otel) = (FakeServer::new(), Otel::new());
    let pool = live(&server, builder("shop").event_handler(otel.metrics.recorder()));
    otel.metrics.observe(&pool);
    let (ours, theirs) = (Read::of(&Exporter::new().with(&pool).text()), Read::of(&otel.text()));

    assert_eq!(ours.families, theirs.families);
    assert_eq!(ours.values.keys().collect::<Vec<_>>(), theirs.values.keys().collect::<Vec<_>>());
    for (series, value) in &ours.values {
        // Fractions are added in a different order.
        let slack = if series.contains("_sum") { 1e-6 } else { 0.0 };
        assert!((theirs.values[series] - value).abs() <= slack, "{series}: {value}, {}", theirs.values[series]);
    }

    let name = "db_client_connection_pool_name=\"shop\"";
    let value = |series: &str, label: &str| theirs.value(&format!("{series}{{{name}{label}}}"));
    assert_eq!(value("db_client_connection_max", ""), 2.0);
    assert_eq!(value("db_client_connection_timeouts_total", ""), 1.0);
    assert_eq!(value("cabrank_health", ",state=\"up\""), 1.0);
    assert_eq!(value("cabrank_open_failures_total", ",reason=\"wrong_role\""), 1.0);
    assert_eq!(value("cabrank_closed_total", ",reason=\"discarded\""), 1.0);
    assert_eq!(value("db_client_connection_wait_time_seconds_count", ""), 104.0);
    assert_eq!(value("db_client_connection_use_time_seconds_count", ""), 103.0);
    assert!(value("db_client_connection_create_time_seconds_count", "") >= 2.0);
}

#[test]
fn without_the_recorder_there_are_no_histograms_and_all_else_is_the_same() {
    let (server, otel) = (FakeServer::new(), Otel::new());
    let pool = live(&server, builder("shop"));
    otel.metrics.observe(&pool);
    let (mut ours, theirs) = (Read::of(&Exporter::new().with(&pool).text()), Read::of(&otel.text()));
    ours.families.retain(|_, [_, kind]| kind != "histogram");
    ours.values.retain(|series, _| !series.contains("_time_seconds"));
    assert_eq!(ours, theirs);
}

#[test]
fn a_pool_that_is_gone_is_observed_no_more_and_several_are_kept_apart() {
    let (server, otel) = (FakeServer::new(), Otel::new());
    let [one, other] = ["one", "other"].map(|name| builder(name).build(server.manager()).unwrap());
    otel.metrics.observe(&one);
    otel.metrics.observe(&other);
    let has = |name: &str| {
        otel.text().contains(&format!("db_client_connection_max{{db_client_connection_pool_name=\"{name}\""))
    };
    assert!(has("one") && has("other"));
    drop(one);
    assert!(!has("one") && has("other"));
    assert_eq!(format!("{:?}", otel.metrics), "Metrics { pools: 1, .. }");
}

#[test]
fn pools_may_share_a_recorder() {
    let (server, otel) = (FakeServer::new(), Otel::new());
    let recorder = otel.metrics.recorder();
    for name in ["one", "other"] {
        let pool = builder(name).event_handler(recorder.clone()).build(server.manager()).unwrap();
        drop(pool.get().unwrap());
    }
    let read = Read::of(&otel.text());
    for name in ["one", "other"] {
        let count = format!("db_client_connection_use_time_seconds_count{{db_client_connection_pool_name=\"{name}\"}}");
        assert_eq!(read.value(&count), 1.0);
    }
}
