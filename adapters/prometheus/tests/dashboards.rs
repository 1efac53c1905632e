//! The dashboard and the alerts use only what is rendered: each of their metrics, labels and values occurs.

use cabrank::Pool;
use cabrank_prometheus::Exporter;
use cabrank_testing::fake::FakeServer;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Each series' labels, and the values of each label.
type Series = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The metrics and groupings of an expression.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    /// A metric, and the labels in its selector: each with the accepted values.
    metrics: Vec<(String, Vec<(String, Vec<String>)>)>,
    /// The labels by which it groups.
    groups: Vec<String>,
}

#[test]
fn each_query_of_the_dashboard_asks_for_what_there_is() {
    let dashboard: Value = serde_json::from_str(&read("cabrank.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<_> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert!(queries.len() > 20, "{}", queries.len());
    queries.iter().for_each(|query| assert_occurs(query));
    for variable in dashboard["templating"]["list"].as_array().unwrap().iter().filter(|list| list["type"] == "query") {
        let query = variable["definition"].as_str().unwrap();
        let (metric, _) = query.strip_prefix("label_values(").unwrap().split_once(',').unwrap();
        assert_occurs(metric);
    }
}

#[test]
fn each_alert_asks_for_what_there_is() {
    let text = read("alerts.yml");
    let rules: Vec<_> = text.split("- alert: ").skip(1).collect();
    assert!(rules.len() > 10, "{}", rules.len());
    for rule in rules {
        let (_, rest) = rule.split_once("expr:").unwrap();
        // The value continues on further lines until the next key.
        let lines = rest.trim_start_matches([' ', '>', '-', '\n']).lines().map(str::trim);
        let keys = ["for:", "labels:"];
        let expr: Vec<_> = lines.take_while(|line| !keys.iter().any(|key| line.starts_with(key))).collect();
        assert_occurs(&expr.join(" "));
    }
}

/// The operator's guide has a paragraph for each alert.
#[test]
fn each_alert_is_explained() {
    let guide = fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let alerts = read("alerts.yml");
    for alert in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(guide.contains(&format!("`{alert}`")), "{alert}");
    }
}

#[test]
fn what_does_not_occur_is_found() {
    let query = r#"sum by (le, pool) (rate(a_total{reason=~"x|y",b!="$c"}[5m])) > 2 * db_client_connection_max"#;
    let expected = Asked {
        metrics: vec![("db_client_connection_max".to_owned(), Vec::new())],
        groups: vec!["le".to_owned(), "pool".to_owned()],
    };
    assert_eq!(asked(query), expected);
    for wrong in [
        "cabrank_nothing_total",
        "cabrank_closed_total{cause=\"idle\"}",
        "cabrank_closed_total{reason=~\"idle|bored\"}",
        "sum by (mood) (cabrank_closed_total)",
    ] {
        assert!(std::panic::catch_unwind(|| assert_occurs(wrong)).is_err(), "{wrong}");
    }
}

#[track_caller]
fn assert_occurs(query: &str) {
    let (rendered, asked) = (rendered(), asked(query));
    assert!(!asked.metrics.is_empty(), "{query} asks for nothing");
    for (metric, selector) in &asked.metrics {
        let labels = rendered.get(metric).unwrap_or_else(|| panic!("{query}: no {metric}"));
        let groups = asked.groups.iter().map(|label| (label, &[][..]));
        for (label, values) in selector.iter().map(|(label, values)| (label, &values[..])).chain(groups) {
            if ["instance", "job"].contains(&label.as_str()) {
                continue; // Prometheus itself adds these.
            }
            let known = labels.get(label).unwrap_or_else(|| panic!("{query}: {metric} has no label {label}"));
            let missing: Vec<_> = values.iter().filter(|value| !known.contains(*value)).collect();
            assert!(missing.is_empty(), "{query}: {metric} has no {label} {missing:?}");
        }
    }
}

/// All series that a pool renders.
fn rendered() -> Series {
    let server = FakeServer::new();
    let pool = Pool::builder().build(server.manager()).unwrap();
    let mut series = Series::new();
    for line in Exporter::new().with(&pool).text().lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once('{').unwrap();
        let known = series.entry(name.to_owned()).or_default();
        for label in rest.rsplit_once('}').unwrap().0.split(',') {
            let (label, value) = label.split_once('=').unwrap();
            known.entry(label.to_owned()).or_default().insert(value.trim_matches('"').to_owned());
        }
    }
    series
}

/// Finds our metrics in an expression, by their prefixes, and the labels in its `by (..)`.
fn asked(query: &str) -> Asked {
    let (mut asked, mut rest) = (Asked::default(), query);
    while let Some(begin) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let word = &rest[begin..];
        let end = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        if word == "by" {
            let (groups, after) =
                after.trim_start().strip_prefix('(').and_then(|after| after.split_once(')')).expect(query);
            asked.groups.extend(groups.split(',').map(|label| label.trim().to_owned()));
            rest = after;
            continue;
        }
        let selector = after.strip_prefix('{').map(|after| after.split_once('}').expect(query));
        rest = selector.map_or(after, |(_, after)| after);
        if word.starts_with("cabrank_") || word.starts_with("db_client_") {
            asked.metrics.push((word.to_owned(), selector.map(|(selector, _)| labels(selector)).unwrap_or_default()));
        }
    }
    asked
}

/// The labels of a selector, each with the accepted values; none if a variable replaces them.
fn labels(selector: &str) -> Vec<(String, Vec<String>)> {
    let pair = |pair: &str| {
        let (label, value) = pair.split_once('=').unwrap();
        let value = value.trim_start_matches('~').trim_matches('"');
        let values = value.split('|').filter(|value| !value.starts_with('$')).map(str::to_owned);
        (label.trim().to_owned(), values.collect())
    };
    selector.split(',').map(pair).collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join("dashboards").join(name)).unwrap()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
