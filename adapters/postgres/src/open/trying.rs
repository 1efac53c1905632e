//! One attempt after another, each at one address: who is tried next, and how long each may take.

use super::ways::Way;
use super::{LONGEST_CONNECT, SHORTEST_CONNECT, wrap};
use crate::connection::Connection;
use crate::connector::Connector;
use crate::fault;
use crate::manager::PostgresManager;
use crate::role::Role;
use crate::stream::Deadlines;
use crate::tap::Tap;
use cabrank::Limit;
use postgres::config::{LoadBalanceHosts, SslMode, SslNegotiation};
use postgres::{Config, Error};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct Trying<'a> {
    pub(super) manager: &'a PostgresManager,
    pub(super) config: Config,
    pub(super) role: Role,
    pub(super) limit: Option<&'a Limit>,
}

/// How long one attempt may take; `None`: as long as there is time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Share {
    /// Until the server says something.
    silent: Option<Duration>,
    whole: Option<Duration>,
}

/// An attempt that came to nothing.
struct Failure {
    error: Error,
    /// Did the server, or its machine, answer?
    heard: bool,
}

impl Trying<'_> {
    /// Tries the ways in the order of what is remembered of them, until one leads to a server in the right role. If nobody says
    /// anything, all are tried again, with more patience.
    ///
    /// The error is the last one, but one that a server has given comes before those of the network.
    pub(super) fn one_after_another(&self, mut ways: Vec<Way>) -> Result<Connection, Error> {
        if ways.is_empty() {
            return self.try_as_the_driver_does();
        }
        let balanced = self.config.get_load_balance_hosts() == LoadBalanceHosts::Random;
        self.manager.hosts.sort(&mut ways, |way| way.address, balanced, Instant::now());
        let mut rounds = 1;
        loop {
            let (mut told, mut heard): (Option<Error>, bool) = (None, false);
            for (place, way) in ways.iter().enumerate() {
                let patience = self.manager.hosts.patience(way.address).saturating_mul(rounds);
                let failure = match self.attempt(way, self.share(ways.len(), place, patience)) {
                    Ok(conn) => return Ok(conn),
                    Err(failure) => failure,
                };
                heard |= failure.heard;
                told = match told {
                    Some(told) if fault::is_of_server(&told) && !fault::is_of_server(&failure.error) => Some(told),
                    _ => Some(failure.error),
                };
                if self.limit.is_some_and(Limit::is_over) {
                    heard = true;
                    break;
                }
            }
            match told {
                Some(error) if heard || ways.len() == 1 || self.left().is_none_or(|left| left.is_zero()) => {
                    return Err(error);
                }
                _ => rounds *= 2,
            }
        }
    }

    /// The one that is tried at this place of so many has its share of the time that is left, and less to say a first word. One alone has
    /// it all.
    fn share(&self, ways: usize, place: usize, patience: Duration) -> Share {
        let Some(left) = self.left().filter(|_| ways > 1) else { return Share::default() };
        let to_come = u32::try_from(ways - place).unwrap_or(u32::MAX);
        let share = left / to_come;
        Share { silent: Some(patience.min(share)), whole: (to_come > 1).then_some(share) }
    }

    fn attempt(&self, way: &Way, share: Share) -> Result<Connection, Failure> {
        let (began, address, hosts) = (Instant::now(), Some(way.address), &self.manager.hosts);
        let mut config = self.config.clone();
        way.choose(&mut config);
        let most = share.silent.or_else(|| self.left()).unwrap_or(LONGEST_CONNECT).max(SHORTEST_CONNECT);
        let timeout =
            config.get_connect_timeout().map_or(most, |&set| share.silent.map_or(set, |silent| set.min(silent)));
        config.connect_timeout(timeout);
        let after = |span: Option<Duration>| span.and_then(|span| began.checked_add(span));
        let deadlines = Deadlines { silent: after(share.silent), end: after(share.whole) };
        let (tap, opened) = self.open(config, deadlines, address);
        match opened {
            Ok(conn) => {
                let heard_at = tap.socket.heard_at().unwrap_or(began);
                hosts.served(address, heard_at.saturating_duration_since(began), Instant::now());
                Ok(conn)
            }
            Err(error) => {
                let took = began.elapsed();
                // A refusal comes before the patience is over, silence does not.
                let heard = tap.socket.heard_at().is_some() || took < timeout;
                hosts.failed(address, heard, took, Instant::now());
                Err(Failure { error, heard })
            }
        }
    }

    /// Several hosts whose addresses the user has given: the driver tries them in their order, each with its share for the TCP connection.
    fn try_as_the_driver_does(&self) -> Result<Connection, Error> {
        let mut config = self.config.clone();
        if config.get_hosts().is_empty() {
            for address in config.get_hostaddrs().to_vec() {
                config.host(&address.to_string());
            }
        }
        super::fill_in_connect_timeout(&mut config, self.left());
        self.open(config, Deadlines::default(), None).1
    }

    fn open(
        &self,
        mut config: Config,
        deadlines: Deadlines,
        address: Option<SocketAddr>,
    ) -> (Arc<Tap>, Result<Connection, Error>) {
        let tap = Arc::new(Tap::new(self.manager.changes.clone()));
        let connector = Connector {
            tls: Arc::clone(&self.manager.tls),
            mode: config.get_ssl_mode(),
            negotiation: config.get_ssl_negotiation(),
            tap: Arc::clone(&tap),
            deadlines,
        };
        if let Some(limit) = self.limit {
            let tap = Arc::clone(&tap);
            limit.on_abort(move || tap.socket.abort());
        }
        config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
        let opened = config.connect(connector.clone()).and_then(|client| {
            // The last that came was the end of the log-in, and the driver has not looked for more yet.
            tap.socket.set_held_up(false);
            let tap = Some(Arc::clone(&tap));
            let connector = Connector { deadlines: Deadlines::default(), ..connector };
            let mut conn = wrap(self.manager, client, connector, tap, (self.role, address));
            conn.check_role()?;
            Ok(conn)
        });
        tap.socket.log_in_is_over();
        (tap, opened)
    }

    fn left(&self) -> Option<Duration> {
        self.limit.and_then(Limit::remaining)
    }
}
