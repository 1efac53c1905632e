//! Opens a connection, within a limit if a pool asks for it.
//!
//! Owns the order: ask for the settings, look up the names (`ways.rs`), fill in what the user left out, try the hosts one after another
//! (`trying.rs`). The look-ups are done here because the driver's own can be neither bounded nor aborted.

mod trying;
mod ways;

use crate::connection::Connection;
use crate::connector::Connector;
use crate::error::{driver_error, provoke};
use crate::manager::PostgresManager;
use crate::role::Role;
use crate::source::Source;
use crate::statements::Statements;
use crate::stream::Deadlines;
use crate::tap::Tap;
use cabrank::Limit;
use postgres::config::{Host, SslMode, SslNegotiation, TargetSessionAttrs};
use postgres::{Client, Config, Error};
use std::io;
use std::net::SocketAddr;
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
    let role = manager.role.with(config.get_target_session_attrs());
    let role = role.map_err(|error| provoke(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    if role != Role::Any {
        // The driver would spend a question on it.
        config.target_session_attrs(TargetSessionAttrs::Any);
    }
    fill_in(&mut config, manager, limit);
    if config.get_hosts().iter().any(is_unix) {
        return open_untapped(manager, config, role, limit);
    }
    let ways = ways::find(&config, limit)?;
    trying::Trying { manager, config, role, limit }.one_after_another(ways)
}

/// Over a Unix socket the driver calls no connector, so that nothing can be read along or aborted. No abort is
/// registered: the attempt keeps its slot until it ends.
fn open_untapped(
    manager: &PostgresManager,
    mut config: Config,
    role: Role,
    limit: Option<&Limit>,
) -> Result<Connection, Error> {
    let left = limit.and_then(Limit::remaining);
    fill_in_connect_timeout(&mut config, left);
    if manager.tls.is_none() && config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(SslMode::Disable);
    }
    // The driver negotiates by itself here, and calls the connector only for TLS.
    let connector = Connector {
        tls: Arc::clone(&manager.tls),
        mode: SslMode::Require,
        negotiation: SslNegotiation::Direct,
        tap: Arc::new(Tap::new(manager.changes.clone())),
        deadlines: Deadlines::default(),
    };
    let client = config.connect(connector.clone())?;
    let mut conn = wrap(manager, client, connector, None, (role, None));
    conn.check_role()?;
    Ok(conn)
}

fn wrap(
    manager: &PostgresManager,
    client: Client,
    connector: Connector,
    tap: Option<Arc<Tap>>,
    (role, address): (Role, Option<SocketAddr>),
) -> Connection {
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
        role,
        address,
        hosts: manager.hosts.clone(),
    }
}

/// Gives up at the limit, and leaves the look-up behind.
fn look_up<T>(limit: Option<&Limit>, look_up: impl FnOnce() -> T) -> Result<T, Error> {
    match limit {
        Some(limit) => limit.unabortable(look_up).ok_or_else(too_late),
        None => Ok(look_up()),
    }
}

/// Of the time that is left each address gets its share for the TCP connection, unless the user has set that.
fn fill_in_connect_timeout(config: &mut Config, left: Option<Duration>) {
    if config.get_connect_timeout().is_none() {
        let attempts = config.get_hosts().len().max(1) as u32;
        let share = left.map_or(LONGEST_CONNECT, |left| (left / attempts).max(SHORTEST_CONNECT));
        config.connect_timeout(share);
    }
}

/// Sets what else the user left out.
fn fill_in(config: &mut Config, manager: &PostgresManager, limit: Option<&Limit>) {
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

const LONGEST_CONNECT: Duration = Duration::from_secs(10);
const SHORTEST_CONNECT: Duration = Duration::from_millis(10);

/// Data that nobody has acknowledged for so long ends the connection. Keepalives do not run while data is in flight.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// A peer that is silent for a minute is dead. The driver's own two hours count as not set.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVES_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVES_RETRIES: u32 = 3;
const DRIVERS_KEEPALIVES_IDLE: Duration = Duration::from_secs(2 * 60 * 60);
