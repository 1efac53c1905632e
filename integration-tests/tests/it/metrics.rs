//! A real Prometheus scrapes a program under load and in an outage, and answers the queries of the dashboard and of the alerts.

use crate::postgres::Postgres;
use crate::recovery::load::Load;
use crate::subject::{Remote, Subject, SubjectPool};
use cabrank_prometheus::{CONTENT_TYPE, Exporter};
use cabrank_testing::{NetworkFault, eventually};
use integration_tests::prometheus::Found;
use integration_tests::{Case, Needs, Prometheus};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;
use std::{fs, thread};

pub(crate) fn cases() -> Vec<Case> {
    let case = |name, needs, run| Case { engine: Postgres::ENGINE, name, needs, run };
    vec![
        case(
            "metrics::prometheus_answers_the_queries_of_dashboard_and_alerts_under_load_and_in_an_outage",
            Needs::Server,
            prometheus_answers_the_queries_of_dashboard_and_alerts_under_load_and_in_an_outage,
        ),
        case(
            "metrics::promtool_finds_nothing_wrong_with_the_alerts",
            Needs::Server,
            promtool_finds_nothing_wrong_with_the_alerts,
        ),
    ]
}

fn prometheus_answers_the_queries_of_dashboard_and_alerts_under_load_and_in_an_outage() {
    let subject = Postgres::new();
    let proxy = subject.database().proxy().unwrap();
    let set = |builder: cabrank::Builder<_>| builder.max_size(4).acquire_timeout(WAIT);
    let pool = subject.pool_by(subject.database().url_through(&proxy), set);
    let prometheus = Prometheus::start().unwrap();
    let host = prometheus.host();
    eventually("Prometheus answers", || prometheus.query("vector(1)").is_ok());
    prometheus.scrape(serve(&pool, host.unwrap().to_string())).unwrap();
    let asked = Asked { prometheus, pool };
    asked.eventually("it was scraped", "db_client_connection_max", |value| value == 4.0);
    assert_eq!(asked.firing(), [""; 0], "nothing is wrong yet");

    // Twice as many as there are connections.
    let load = Load::asking::<Postgres>("SELECT 7 FROM pg_sleep(0.05)", &asked.pool, 8, WAIT);
    load.warm_up();
    asked.eventually("the pool is busy", "cabrank_health{state=\"busy\"}", |value| value == 1.0);
    // Rates need some scrapes.
    asked.eventually_alert("CabrankSaturated");
    asked.eventually("loans have waited", "rate(cabrank_loans_total{waited=\"true\"}[3s])", |rate| rate > 10.0);
    let firing = asked.firing();
    assert!(firing.iter().all(|alert| alert == "CabrankSaturated"), "{firing:?} under load");
    let panels = panels();
    for query in panels.iter().flat_map(|(_, queries)| queries) {
        assert!(!asked.answers(query).is_empty(), "{query} finds nothing");
    }
    let panel = |title: &str, query: usize| {
        let found = panels.iter().find(|(name, _)| name == title).unwrap_or_else(|| panic!("no panel {title}"));
        found.1[query].as_str()
    };
    let value = |title: &str, query: usize| asked.value(panel(title, query));
    // At a scrape one of the four may be between two loans.
    eventually("busy", || value("Pool health", 0) == 1.0);
    eventually("four are used", || asked.value_of(panel("Connections", 0), "used") == 4.0);
    eventually("all four are in use", || (value("Connections", 1), value("Saturation", 0)) == (4.0, 1.0));
    eventually("others wait", || (1.0..=4.0).contains(&value("Requests that wait", 0)));
    // A loan lasts for 50 ms, and a request waits for about as long: a bucket's upper bound is at most twice that.
    for (title, query) in [("How long connections are lent", 0), ("How long requests wait", 1)] {
        assert!((0.03..0.5).contains(&value(title, query)), "{title}: {}", value(title, query));
    }
    let needed = panel("What the load needs", 0);
    asked.eventually("all four are lent nearly all the time", needed, |needed| (3.0..4.5).contains(&needed));

    proxy.set(NetworkFault::Refuse);
    proxy.reset();
    asked.eventually("sessions were closed", panel("Connections that were closed", 0), |rate| rate > 0.0);
    asked.eventually("the pool is down", "cabrank_health{state=\"down\"}", |value| value == 1.0);
    for alert in ["CabrankDown", "CabrankTimeouts", "CabrankOpeningsFail", "CabrankSlowWaits"] {
        asked.eventually_alert(alert);
    }
    assert_eq!(value("Pool health", 0), 2.0, "down");
    eventually("openings fail", || asked.value_of(panel("Openings", 1), "other") > 0.0);
    eventually("requests time out", || value("Time-outs and refusals", 0) > 0.0);
    let firing = asked.firing();
    assert!(
        !firing.iter().any(|alert| ["CabrankSaturated", "CabrankStuck", "CabrankWrongRole"].contains(&&**alert)),
        "{firing:?}"
    );

    proxy.set(NetworkFault::None);
    asked.eventually("the pool is back", "cabrank_health{state=\"down\"}", |value| value == 0.0);
    drop(load);
    eventually("all are at rest", || asked.pool.stats().in_use == 0);
    // Counters are neither estimated nor lost.
    let stats = asked.pool.stats();
    for (query, count) in [
        ("sum(cabrank_loans_total)", stats.checked_out_at_once + stats.checked_out_after_waiting),
        ("db_client_connection_use_time_seconds_count", stats.use_time.count()),
        ("sum(cabrank_closed_total)", stats.closed.total()),
        ("db_client_connection_timeouts_total", stats.timed_out),
        ("cabrank_opened_total", stats.opened),
    ] {
        asked.eventually(query, query, |value| value == count as f64);
    }
}

fn promtool_finds_nothing_wrong_with_the_alerts() {
    let prometheus = Prometheus::start().unwrap();
    eventually("it has started", || prometheus.host().is_ok());
    let said = prometheus.promtool("check rules alerts.yml").unwrap();
    assert!(said.contains("SUCCESS"), "{said}");
    let said = prometheus.promtool("test rules alerts.test.yml").unwrap();
    assert!(said.contains("SUCCESS") && !said.contains("FAILED"), "{said}");
    // It does report errors.
    prometheus.promtool("check rules alerts.test.yml").unwrap_err();
}

/// A Prometheus, and the pool that it scrapes.
struct Asked {
    prometheus: Prometheus,
    pool: SubjectPool<Postgres>,
}

impl Asked {
    fn answers(&self, query: &str) -> Vec<Found> {
        let query = query.replace("$__rate_interval", "3s").replace("$pool", &self.pool.config().name);
        self.prometheus.query(&query.replace("$instance", ".*")).unwrap_or_else(|error| panic!("{query}: {error:#}"))
    }

    /// The value of the only series that a query finds.
    fn value(&self, query: &str) -> f64 {
        match &self.answers(query)[..] {
            [(_, value)] => *value,
            found => panic!("{query}: {found:?}"),
        }
    }

    /// The value of the series with this label.
    fn value_of(&self, query: &str, label: &str) -> f64 {
        let found = self.answers(query);
        let one = found.iter().find(|(labels, _)| labels.values().any(|value| value == label));
        one.unwrap_or_else(|| panic!("{query}: no {label} in {found:?}")).1
    }

    fn eventually(&self, what: &str, query: &str, holds: impl Fn(f64) -> bool) {
        eventually(what, || self.answers(query).iter().any(|(_, value)| holds(*value)));
    }

    /// Waits until this alert's expression finds something, regardless of the alert's waiting time.
    fn eventually_alert(&self, name: &str) {
        eventually(name, || self.firing().iter().any(|firing| firing == name));
    }

    /// The alerts whose expressions find something now.
    fn firing(&self) -> Vec<String> {
        let alerts = self.prometheus.alerts().unwrap();
        assert!(alerts.len() > 10, "{alerts:?}");
        let found = alerts.into_iter().filter(|(_, query)| !self.answers(query).is_empty());
        found.map(|(name, _)| name).collect()
    }
}

/// The panels of the dashboard, by their titles, and their queries.
fn panels() -> Vec<(String, Vec<String>)> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards/cabrank.json"));
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let queries =
        |panel: &Value| panel["targets"].as_array().unwrap().iter().map(|target| text(&target["expr"])).collect();
    dashboard["panels"].as_array().unwrap().iter().map(|panel| (text(&panel["title"]), queries(panel))).collect()
}

/// Answers each request with the pool's numbers, on a port of this address, until the process ends.
fn serve(pool: &SubjectPool<Postgres>, host: String) -> SocketAddr {
    let listener = TcpListener::bind((host, 0)).expect("an address of this machine");
    let address = listener.local_addr().unwrap();
    let exporter = Exporter::new().with(pool);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut request = BufReader::new(&stream).lines().map_while(Result::ok);
            if request.by_ref().any(|line| line.is_empty()) {
                let text = exporter.text();
                let head = format!(
                    "HTTP/1.0 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {}\r\n\r\n",
                    text.len()
                );
                // The client may have hung up.
                let _ = (&stream).write_all((head + &text).as_bytes());
            }
        }
    });
    address
}

/// Longer than a wait that counts as slow.
const WAIT: Duration = Duration::from_millis(1500);
