//! One attempt after another, each at one place: their order and their time limits.

use super::failures::{Answer, Failures};
use super::names::Resolve;
use super::settings::for_one;
use super::ways::{Way, shuffle};
use super::{look_up, names, wrap};
use crate::connection::Connection;
use crate::connector::Connector;
use crate::error::provoke;
use crate::hosts::Place;
use crate::manager::PostgresManager;
use crate::role::Role;
use crate::stream::Deadlines;
use crate::tap::Tap;
use cabrank::Limit;
use postgres::config::{LoadBalanceHosts, SslMode, SslNegotiation};
use postgres::{Config, Error};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct Trying<'a> {
    pub(super) manager: &'a PostgresManager,
    pub(super) config: Config,
    pub(super) role: Role,
    pub(super) limit: Option<&'a Limit>,
    pub(super) resolve: Resolve,
}

/// The time limits of one attempt; `None`: all remaining time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Share {
    /// Until the server's first byte.
    silent: Option<Duration>,
    whole: Option<Duration>,
}

/// The ways of one round.
struct Turns {
    to_come: VecDeque<Way>,
    /// For the next round.
    over: Vec<Way>,
}

impl Trying<'_> {
    /// Tries the ways in the order of their records, until one leads to a server in the right role. If none responds, all are tried
    /// again, with more patience.
    pub(super) fn one_after_another(&self, mut ways: Vec<Way>) -> Result<Connection, Error> {
        self.sort(&mut ways);
        let (mut rounds, mut failures) = (1, Failures::default());
        loop {
            failures.begin_round();
            let mut turns = Turns { to_come: ways.into(), over: Vec::new() };
            let mut longest = Duration::ZERO;
            while let Some(way) = turns.to_come.pop_front() {
                let way = match self.find(way, &mut turns) {
                    Ok(way) => way,
                    Err((way, error)) => {
                        failures.add(&way, error, Answer::Unasked);
                        turns.over.push(way);
                        continue;
                    }
                };
                let patience = self.patience(&way, rounds);
                longest = longest.max(patience);
                match self.attempt(&way, self.share(&turns, patience)) {
                    Ok(conn) => return Ok(conn),
                    Err((error, answer)) => failures.add(&way, error, answer),
                }
                turns.over.push(way);
                if self.limit.is_some_and(Limit::is_over) {
                    return Err(failures.error());
                }
            }
            let has_time = self.left().map_or(longest < LONGEST_SILENCE, |left| !left.is_zero());
            if turns.over.len() == 1 || !failures.are_all_silent() || !has_time {
                return Err(failures.error());
            }
            (ways, rounds) = (turns.over, rounds.saturating_mul(2));
        }
    }

    /// How long this way may stay silent, if there are others. Bounded even without a limit.
    fn patience(&self, way: &Way, rounds: u32) -> Duration {
        let patience = self.manager.hosts.patience(&way.place).saturating_mul(rounds);
        if self.limit.is_none() { patience.min(LONGEST_SILENCE) } else { patience }
    }

    fn sort(&self, ways: &mut [Way]) {
        let balanced = self.config.get_load_balance_hosts() == LoadBalanceHosts::Random;
        if balanced {
            shuffle(ways);
        }
        self.manager.hosts.sort(ways, |way| &way.place, balanced, Instant::now());
    }

    /// Resolves the way's name, if it has one. Of several addresses the first is tried now, and the others after all remaining ways.
    fn find(&self, way: Way, turns: &mut Turns) -> Result<Way, (Way, Error)> {
        let Place::Name(name, port) = &way.place else { return Ok(way) };
        let began = Instant::now();
        let found = match self.look_up(name, turns) {
            Ok(found) => found,
            Err(error) => {
                self.manager.hosts.failed(&way.place, false, began.elapsed(), Instant::now());
                return Err((way, error));
            }
        };
        let mut ways = way.at(&found, *port);
        self.sort(&mut ways);
        let mut ways = ways.into_iter();
        let first = ways.next().unwrap_or(way);
        turns.to_come.extend(ways);
        Ok(first)
    }

    /// If there are other ways a name gets its share of the time; a single one gets it all.
    fn look_up(&self, name: &str, turns: &Turns) -> Result<Vec<IpAddr>, Error> {
        let found = if turns.are_of_one() {
            look_up(self.limit, || (self.resolve)(name))?
        } else {
            let span = self.left().map_or(LONGEST_CONNECT, |left| left / turns.left());
            names::look_up(name, self.resolve, Instant::now() + span)
        };
        found.map_err(provoke)
    }

    /// The present way gets its share of the time that is left, and less for the first byte. A single way gets it all.
    fn share(&self, turns: &Turns, patience: Duration) -> Share {
        if turns.are_of_one() {
            return Share::default();
        }
        let share = self.left().map(|left| left / turns.left());
        let silent = share.map_or(patience, |share| patience.min(share));
        Share { silent: Some(silent), whole: share.filter(|_| !turns.to_come.is_empty()) }
    }

    fn attempt(&self, way: &Way, share: Share) -> Result<Connection, (Error, Answer)> {
        let (began, hosts) = (Instant::now(), &self.manager.hosts);
        let mut config = for_one(&self.config, way);
        let most = share.silent.or_else(|| self.left()).unwrap_or(LONGEST_CONNECT).max(SHORTEST_CONNECT);
        let timeout =
            config.get_connect_timeout().map_or(most, |&set| share.silent.map_or(set, |silent| set.min(silent)));
        config.connect_timeout(timeout);
        let after = |span: Option<Duration>| span.and_then(|span| began.checked_add(span));
        let deadlines = Deadlines { silent: after(share.silent), end: after(share.whole) };
        let tap = Arc::new(Tap::new(self.manager.changes.clone()));
        let opened = match &way.place {
            #[cfg(unix)]
            Place::Socket(..) => self.open_untapped(config, way),
            _ => self.open(config, deadlines, way, &tap),
        };
        let heard_at = tap.socket.heard_at();
        match opened {
            Ok(conn) => {
                let first_word = heard_at.unwrap_or(began).saturating_duration_since(began);
                hosts.served(&way.place, first_word, Instant::now());
                way.found_by.iter().for_each(|name| hosts.led_to_one(name, Instant::now()));
                Ok(conn)
            }
            Err(error) => {
                let took = began.elapsed();
                // A refusal comes before the patience is over; silence lasts until its end.
                let heard = heard_at.is_some() || took < timeout;
                for place in way.found_by.iter().chain([&way.place]) {
                    hosts.failed(place, heard, took, Instant::now());
                }
                Err((error, if heard { Answer::Heard } else { Answer::Silence }))
            }
        }
    }

    fn open(&self, mut config: Config, deadlines: Deadlines, way: &Way, tap: &Arc<Tap>) -> Result<Connection, Error> {
        let connector = Connector {
            tls: Arc::clone(&self.manager.tls),
            mode: config.get_ssl_mode(),
            negotiation: config.get_ssl_negotiation(),
            tap: Arc::clone(tap),
            deadlines,
        };
        if let Some(limit) = self.limit {
            let tap = Arc::clone(tap);
            limit.on_abort(move || tap.socket.abort());
        }
        config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
        let opened = config.connect(connector.clone()).and_then(|client| {
            // The last data was the end of the log-in, and the driver has not polled for more yet.
            tap.socket.set_held_up(false);
            let connector = Connector { deadlines: Deadlines::default(), ..connector };
            let mut conn = wrap(self.manager, client, connector, Some(Arc::clone(tap)), (self.role, &way.place));
            conn.check_role()?;
            Ok(conn)
        });
        tap.socket.log_in_is_over();
        opened
    }

    /// Over a Unix socket the driver calls no connector: nothing can be tracked, skipped for its silence, or aborted. No abort is
    /// registered, and the attempt keeps its slot until it ends.
    #[cfg(unix)]
    fn open_untapped(&self, mut config: Config, way: &Way) -> Result<Connection, Error> {
        if self.manager.tls.is_none() && config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(SslMode::Disable);
        }
        // The driver negotiates by itself here, and calls the connector only for TLS.
        let connector = Connector {
            tls: Arc::clone(&self.manager.tls),
            mode: SslMode::Require,
            negotiation: SslNegotiation::Direct,
            tap: Arc::new(Tap::new(self.manager.changes.clone())),
            deadlines: Deadlines::default(),
        };
        let client = config.connect(connector.clone())?;
        let mut conn = wrap(self.manager, client, connector, None, (self.role, &way.place));
        conn.check_role()?;
        Ok(conn)
    }

    fn left(&self) -> Option<Duration> {
        self.limit.and_then(Limit::remaining)
    }
}

impl Turns {
    /// Whether the present way is the only one.
    fn are_of_one(&self) -> bool {
        self.to_come.is_empty() && self.over.is_empty()
    }

    /// Including the present way.
    fn left(&self) -> u32 {
        u32::try_from(self.to_come.len() + 1).unwrap_or(u32::MAX)
    }
}

/// If no limit is shorter.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
const SHORTEST_CONNECT: Duration = Duration::from_millis(10);
