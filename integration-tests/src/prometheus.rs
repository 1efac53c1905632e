//! Prometheus itself, for one test: it scrapes a program on this machine, and answers queries.

use crate::container::Container;
use crate::launch::Launch;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;
use url::form_urlencoded::byte_serialize;

/// A container of its own, with the rules in `dashboards/`. Removed with the value.
#[derive(Debug)]
pub struct Prometheus {
    container: Container,
}

/// A series found by a query: its labels, without the metric's name, and its value.
pub type Found = (BTreeMap<String, String>, f64);

impl Prometheus {
    /// Starts it. Does not wait until it answers.
    pub fn start() -> Result<Self> {
        let dashboards = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards"));
        let read = |name| fs::read_to_string(dashboards.join(name)).with_context(|| format!("no {name}"));
        let launch = Launch::of_prometheus(read("alerts.yml")?, read("alerts.test.yml")?);
        Ok(Self { container: Container::start(&launch)? })
    }

    /// The address of this machine that the container reaches: a program must listen there.
    pub fn host(&self) -> Result<IpAddr> {
        let entry = self.container.script("grep host.docker.internal /etc/hosts", &[])?;
        Ok(entry.split_whitespace().next().context("no address")?.parse()?)
    }

    /// From now on it scrapes `/metrics` there.
    pub fn scrape(&self, target: SocketAddr) -> Result<()> {
        // By a move, so it never reads a half-written file.
        let script = r#"cd /tmp && printf '[{"targets":["%s"]}]' "$1" > targets && mv targets targets.json"#;
        self.container.script(script, &[&target.to_string()]).map(drop)
    }

    /// The present result of this query.
    pub fn query(&self, query: &str) -> Result<Vec<Found>> {
        let query: String = byte_serialize(query.as_bytes()).collect();
        let data = self.get(&format!("/api/v1/query?query={query}"))?;
        data["result"].as_array().context("no vector")?.iter().map(found).collect()
    }

    /// Its alerts: their names and queries.
    pub fn alerts(&self) -> Result<Vec<(String, String)>> {
        let data = self.get("/api/v1/rules")?;
        let groups = data["groups"].as_array().context("no groups")?;
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten());
        let text = |value: &Value| value.as_str().context("no text").map(str::to_owned);
        rules.map(|rule| Ok((text(&rule["name"])?, text(&rule["query"])?))).collect()
    }

    /// The output of its promtool; an error with the complaints if there are any.
    pub fn promtool(&self, arguments: &str) -> Result<String> {
        self.container.script(&format!("cd /tmp && /bin/promtool {arguments} 2>&1 || (echo failed >&2; false)"), &[])
    }

    /// In the oldest version of the protocol, which has no chunks.
    fn get(&self, path: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(self.container.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        let mut answer: Value = serde_json::from_str(body).with_context(|| body.to_owned())?;
        if answer["status"] != "success" {
            bail!("{path}: {}", answer["error"]);
        }
        Ok(answer["data"].take())
    }
}

fn found(series: &Value) -> Result<Found> {
    let labels = series["metric"].as_object().context("no labels")?;
    let label = |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap_or_default().to_owned());
    let value = series["value"][1].as_str().context("no value")?.parse()?;
    Ok((labels.iter().filter(|(name, _)| *name != "__name__").map(label).collect(), value))
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Err(error) = self.container.remove() {
            eprintln!("a container of Prometheus could not be removed: {error:#}");
        }
    }
}
