//! The test kit's proxy in front of a server, and the system's count of refused attempts, which a proxy cannot see.

use anyhow::{Context, Result};
use cabrank_testing::Proxy;
use std::fs;
use url::Url;

/// Starts a proxy in front of the server of a URL; also returns the URL that leads through the proxy.
pub fn before(url: &str) -> Result<(Proxy, String)> {
    let mut url = Url::parse(url)?;
    let host = url.host_str().context("a URL without host")?.to_owned();
    let proxy = Proxy::start((host, url.port().unwrap_or(5432)))?;
    url.set_ip_host(proxy.address().ip()).ok().context("a URL without host")?;
    url.set_port(Some(proxy.address().port())).ok().context("a URL without port")?;
    Ok((proxy, url.into()))
}

/// The connection attempts of the whole system that were refused or failed since it started. `None` where the system does not count them.
/// A proxy that does not listen cannot count them either.
pub fn refused_attempts() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/snmp").ok()?;
    let mut lines = text.lines().filter(|line| line.starts_with("Tcp:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split(' ').position(|name| name == "AttemptFails")?;
    values.split(' ').nth(place)?.parse().ok()
}
