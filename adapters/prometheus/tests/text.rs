//! The written text, as Prometheus would parse it.

use cabrank::{Pool, Stats};
use cabrank_prometheus::Exporter;
use cabrank_testing::eventually;
use cabrank_testing::fake::{FakeManager, FakeServer};
use std::collections::BTreeMap;

/// Series with their labels, and the value of each.
type Samples = BTreeMap<String, f64>;

/// Parses the text, and asserts that each family is declared once, before its samples.
fn read(text: &str) -> Samples {
    let mut samples = Samples::new();
    let mut families = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, _) = rest.split_once(' ').expect(line);
            assert!(!families.contains(&name), "{name} comes twice");
            families.push(name);
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').expect(line);
            assert!(series.starts_with(families.last().expect("a family")), "{series} is in the wrong family");
            assert_eq!(samples.insert(series.to_owned(), value.parse().expect(line)), None, "{series} comes twice");
        }
    }
    samples
}

fn pool(server: &FakeServer, name: &str) -> Pool<FakeManager> {
    Pool::builder().name(name).max_size(3).build(server.manager()).unwrap()
}

fn series(name: &str, pool: &str, more: &str) -> String {
    format!("{name}{{db_client_connection_pool_name=\"{pool}\"{more}}}")
}

#[test]
fn the_numbers_are_those_of_the_pool() {
    let server = FakeServer::new();
    let pool = pool(&server, "one");
    let exporter = Exporter::new().with(&pool);
    let _held = pool.get().unwrap();
    let (again, last) = (pool.get().unwrap(), pool.get().unwrap());
    drop(again);
    assert!(pool.try_get().unwrap().is_some());
    drop(last);
    eventually("all are at rest", || pool.stats().idle == 2);
    let (Stats { returned, checked_out_at_once, .. }, samples) = (pool.stats(), read(&exporter.text()));
    let value = |name: &str, more: &str| samples[&series(name, "one", more)];
    assert_eq!(value("db_client_connection_count", ",db_client_connection_state=\"used\""), 1.0);
    assert_eq!(value("db_client_connection_count", ",db_client_connection_state=\"idle\""), 2.0);
    assert_eq!(value("db_client_connection_max", ""), 3.0);
    assert_eq!(value("cabrank_loans_total", ",waited=\"false\""), checked_out_at_once as f64);
    assert_eq!(value("db_client_connection_use_time_seconds_count", ""), returned as f64);
    assert_eq!(value("db_client_connection_use_time_seconds_bucket", ",le=\"+Inf\""), returned as f64);
    assert_eq!(value("cabrank_closed_total", ",reason=\"idle\""), 0.0);
}

#[test]
fn the_buckets_of_a_histogram_only_grow() {
    let server = FakeServer::new();
    let pool = pool(&server, "one");
    for _ in 0..100 {
        drop(pool.get().unwrap());
    }
    let text = Exporter::new().with(&pool).text();
    let lines = text.lines().filter(|line| line.starts_with("db_client_connection_wait_time_seconds_bucket"));
    let counts: Vec<f64> = lines.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
    assert_eq!(counts.len(), 27);
    assert!(counts.windows(2).all(|pair| pair[0] <= pair[1]), "{counts:?}");
    assert_eq!(counts.last(), Some(&100.0));
}

#[test]
fn several_pools_share_their_families_and_one_that_is_gone_is_left_out() {
    let server = FakeServer::new();
    let (one, other) = (pool(&server, "one"), pool(&server, "a \"name\" with \\"));
    let exporter = Exporter::new().with(&one).with(&other);
    let samples = read(&exporter.text());
    assert!(samples.contains_key(&series("db_client_connection_max", "one", "")));
    assert!(samples.contains_key(&series("db_client_connection_max", "a \\\"name\\\" with \\\\", "")));
    drop(one);
    let samples = read(&exporter.text());
    assert!(!samples.contains_key(&series("db_client_connection_max", "one", "")));
    drop(other);
    assert_eq!(exporter.text(), "");
}
