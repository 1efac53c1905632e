//! Opens a connection, within a limit if a pool asks for it.
//!
//! Owns the order: ask for the settings, look up the names, fill in what the user left out, connect. The look-ups are
//! done here because the driver's own can be neither bounded nor aborted.

use crate::connection::Connection;
use crate::connector::Connector;
use crate::error::{driver_error, provoke};
use crate::manager::PostgresManager;
use crate::source::Source;
use crate::statements::Statements;
use crate::tap::Tap;
use cabrank::Limit;
use postgres::config::{Host, SslMode, SslNegotiation};
use postgres::{Client, Config, Error};
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

impl PostgresManager {
    /// Opens a connection outside of any pool, just as the pool would: for migrations before there is one.
    ///
    /// # Errors
    ///
    /// The driver's. Only the settings' own time-outs bound how long it takes.
    pub fn open(&self) -> Result<Connection, Error> {
        let conn = open(self, None)?;
        if let Some(tap) = conn.tap() {
            tap.tracker().start_tracking();
        }
        Ok(conn)
    }
}

/// Opens a connection, as the manager's settings say. Without a limit only the settings' own time-outs bound it.
pub(crate) fn open(manager: &PostgresManager, limit: Option<&Limit>) -> Result<Connection, Error> {
    let mut config = match &manager.source {
        Source::Fixed(config) => Config::clone(config),
        Source::Asked(ask) => look_up(limit, || ask())?.map_err(driver_error)?,
    };
    if config.get_hosts().iter().any(is_unix) {
        return open_untapped(manager, config, limit);
    }
    resolve(&mut config, limit)?;
    fill_in(&mut config, manager, limit);

    let tap = Arc::new(Tap::new(manager.changes.clone()));
    let connector = Connector {
        tls: Arc::clone(&manager.tls),
        mode: config.get_ssl_mode(),
        negotiation: config.get_ssl_negotiation(),
        tap: Arc::clone(&tap),
        deadline: None,
    };
    if let Some(limit) = limit {
        let tap = Arc::clone(&tap);
        limit.on_abort(move || tap.socket.abort());
    }
    config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    let client = config.connect(connector.clone())?;
    // The last that came was the end of the log-in, and the driver has not looked for more yet.
    tap.socket.set_held_up(false);
    Ok(wrap(manager, client, connector, Some(tap)))
}

/// Over a Unix socket the driver calls no connector, so that nothing can be read along or aborted. No abort is
/// registered: the attempt keeps its slot until it ends.
fn open_untapped(manager: &PostgresManager, mut config: Config, limit: Option<&Limit>) -> Result<Connection, Error> {
    fill_in(&mut config, manager, limit);
    if manager.tls.is_none() && config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(SslMode::Disable);
    }
    // The driver negotiates by itself here, and calls the connector only for TLS.
    let connector = Connector {
        tls: Arc::clone(&manager.tls),
        mode: SslMode::Require,
        negotiation: SslNegotiation::Direct,
        tap: Arc::new(Tap::new(manager.changes.clone())),
        deadline: None,
    };
    let client = config.connect(connector.clone())?;
    Ok(wrap(manager, client, connector, None))
}

fn wrap(manager: &PostgresManager, client: Client, connector: Connector, tap: Option<Arc<Tap>>) -> Connection {
    // Behind a transaction pooler a statement may be gone with the session that knew it.
    let usual = if manager.transaction_pooler { 0 } else { 100 };
    let statements = Statements::new(manager.statement_cache.unwrap_or(usual), manager.changes.clone());
    let tokens = Arc::default();
    Connection {
        client,
        statements,
        tap,
        connector,
        used: false,
        tokens,
        transaction_pooler: manager.transaction_pooler,
        beyond_reset: false,
        left_unread: false,
    }
}

/// Looks up the names, and puts all addresses in: the driver then looks up nothing.
fn resolve(config: &mut Config, limit: Option<&Limit>) -> Result<(), Error> {
    let names: Vec<String> = config.get_hosts().iter().filter_map(name).collect();
    let addresses = config.get_hostaddrs().to_vec();
    if names.is_empty() {
        // The driver wants a name before it calls a connector. An address is one.
        for address in addresses {
            config.host(&address.to_string());
        }
        return Ok(());
    }
    if !addresses.is_empty() || names.iter().all(|name| name.parse::<IpAddr>().is_ok()) {
        return Ok(());
    }

    let found = look_up(limit, || names.iter().map(|name| addresses_of(name)).collect::<Vec<_>>())?;
    if let (true, Some(Err(_))) = (found.iter().all(Result::is_err), found.first()) {
        let error = found.into_iter().find_map(Result::err);
        return Err(provoke(error.unwrap_or_else(|| io::ErrorKind::NotFound.into())));
    }
    place(config, &names, &found);
    Ok(())
}

/// Gives each host its first address in place, and appends the others behind: a host that has several is tried again
/// with its second after all hosts were tried with their first. A host without any keeps an address that nobody has.
fn place(config: &mut Config, names: &[String], found: &[io::Result<Vec<IpAddr>>]) {
    let ports = config.get_ports().to_vec();
    let addresses = |host: usize| found[host].as_deref().unwrap_or_default();
    for host in 0..names.len() {
        config.hostaddr(addresses(host).first().copied().unwrap_or(NOBODY));
    }
    let most = (0..names.len()).map(|host| addresses(host).len()).max().unwrap_or(0);
    for round in 1..most {
        for (host, name) in names.iter().enumerate() {
            if let Some(&address) = addresses(host).get(round) {
                config.host(name).hostaddr(address);
                if ports.len() > 1 {
                    config.port(ports.get(host).copied().unwrap_or(5432));
                }
            }
        }
    }
}

/// Gives up at the limit, and leaves the look-up behind.
fn look_up<T>(limit: Option<&Limit>, look_up: impl FnOnce() -> T) -> Result<T, Error> {
    match limit {
        Some(limit) => limit.unabortable(look_up).ok_or_else(too_late),
        None => Ok(look_up()),
    }
}

fn addresses_of(name: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for address in (name, 0).to_socket_addrs()? {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    if addresses.is_empty() {
        Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
    } else {
        Ok(addresses)
    }
}

/// Sets what the user left out. Of the time that is left each address gets its share for the TCP connection; all that
/// follows is bounded by aborting it.
fn fill_in(config: &mut Config, manager: &PostgresManager, limit: Option<&Limit>) {
    if config.get_connect_timeout().is_none() {
        let attempts = config.get_hosts().len().max(1) as u32;
        let left = limit.and_then(Limit::remaining);
        let share = left.map_or(LONGEST_CONNECT, |remaining| (remaining / attempts).max(SHORTEST_CONNECT));
        config.connect_timeout(share);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(TCP_USER_TIMEOUT);
    }
    if config.get_keepalives() {
        if config.get_keepalives_idle() == DRIVERS_KEEPALIVES_IDLE {
            config.keepalives_idle(KEEPALIVES_IDLE);
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(KEEPALIVES_INTERVAL);
        }
        if config.get_keepalives_retries().is_none() {
            config.keepalives_retries(KEEPALIVES_RETRIES);
        }
    }
    let of_pool = limit.filter(|_| config.get_application_name().is_none()).map(Limit::pool);
    if let Some(name) = manager.application_name.as_deref().or(of_pool) {
        config.application_name(name);
    }
}

fn name(host: &Host) -> Option<String> {
    match host {
        Host::Tcp(name) => Some(name.clone()),
        #[cfg(unix)]
        Host::Unix(_) => None,
    }
}

fn is_unix(host: &Host) -> bool {
    name(host).is_none()
}

fn too_late() -> Error {
    provoke(io::Error::new(io::ErrorKind::TimedOut, "the settings or the host's address were not found in time"))
}

/// Connecting to it fails at once, as looking up the host did.
const NOBODY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::BROADCAST);

const LONGEST_CONNECT: Duration = Duration::from_secs(10);
const SHORTEST_CONNECT: Duration = Duration::from_millis(10);

/// Data that nobody has acknowledged for so long ends the connection. Keepalives do not run while data is in flight.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// A peer that is silent for a minute is dead. The driver's own two hours count as not set.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVES_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVES_RETRIES: u32 = 3;
const DRIVERS_KEEPALIVES_IDLE: Duration = Duration::from_secs(2 * 60 * 60);
