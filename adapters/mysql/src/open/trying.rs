//! One attempt after another, each at one address: their order, their time limits, and the choice of the error to return.

use super::lasting::comes_again;
use crate::baseline::Baseline;
use crate::bounds::{shorter, within};
use crate::connection::Connection;
use crate::error::lasting;
use crate::fault::fault;
use crate::health::Health;
use crate::manager::MySqlManager;
use crate::questions::{ReadOnly, Writes};
use crate::role::Role;
use crate::socket::Socket;
use crate::sql;
use crate::sql::Effect;
use crate::statements::Statements;
use crate::tracker::Tracker;
use cabrank::{Fault, Limit};
use mysql::{Conn, DriverError, Error, Opts, OptsBuilder, Result};
use std::error::Error as _;
use std::io;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct Trying<'a> {
    pub(super) manager: &'a MySqlManager,
    pub(super) opts: Opts,
    pub(super) limit: Option<&'a Limit>,
}

/// The time limits of one attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spans {
    connect: Duration,
    /// Each of the server's answers, from its greeting until its role is known.
    answer: Duration,
}

impl Trying<'_> {
    /// Tries the addresses in the order of their records, until one leads to a server in the right role. If none responds, all are tried
    /// again, with more patience. With no address the driver connects by the options.
    pub(super) fn one_after_another(&self, mut addresses: Vec<SocketAddr>) -> Result<Connection> {
        let hosts = &self.manager.hosts;
        if addresses.is_empty() {
            return self.attempt(None, self.left().map(Spans::whole));
        }
        // There is one primary. Other servers are equivalent, and a name that rotates their order spreads the load.
        hosts.sort(&mut addresses, self.manager.role == Role::Primary, Instant::now());
        let (mut told, mut rounds): (Option<Error>, u32) = (None, 1);
        loop {
            let mut heard = false;
            for (place, &address) in addresses.iter().enumerate() {
                let began = Instant::now();
                let error = match self.attempt(Some(address), self.share(&addresses, place, rounds)) {
                    Ok(conn) => {
                        hosts.served(address, began.elapsed(), Instant::now());
                        return Ok(conn);
                    }
                    Err(error) => error,
                };
                hosts.failed(address, !is_silence(&error), began.elapsed(), Instant::now());
                heard |= !is_silence(&error);
                told = match told {
                    Some(told) if weight(&told) > weight(&error) => Some(told),
                    _ => Some(error),
                };
                if self.is_over() {
                    break;
                }
            }
            if heard || addresses.len() == 1 || self.limit.is_none() || self.is_over() {
                return Err(told.unwrap_or(Error::DriverError(DriverError::ConnectTimeout)));
            }
            rounds = rounds.saturating_mul(2);
        }
    }

    /// The time limits for the address at this place: for each step at most its share of the time that is left. A single address gets all.
    fn share(&self, addresses: &[SocketAddr], place: usize, rounds: u32) -> Option<Spans> {
        let left = self.left()?;
        if addresses.len() == 1 {
            return Some(Spans::whole(left));
        }
        let share = left / u32::try_from(addresses.len() - place).unwrap_or(u32::MAX);
        let patience = self.manager.hosts.patience(addresses[place]).saturating_mul(rounds);
        Some(Spans { connect: patience.min(share), answer: patience.saturating_mul(ANSWERS_LATER).min(share) })
    }

    /// Connects, logs in, and queries the server's properties. Its time-outs are the user's own afterwards.
    fn attempt(&self, address: Option<SocketAddr>, spans: Option<Spans>) -> Result<Connection> {
        if self.is_over() {
            return Err(Error::DriverError(DriverError::ConnectTimeout));
        }
        let mut way = OptsBuilder::from_opts(self.opts.clone());
        if let Some(address) = address {
            way = way.ip_or_hostname(Some(match address {
                SocketAddr::V4(address) => address.ip().to_string(),
                SocketAddr::V6(address) => format!("[{}]", address.ip()),
            }));
        }
        let way = Opts::from(way);
        let mut bounded = OptsBuilder::from_opts(way.clone()).init(Vec::<String>::new());
        if let Some(Spans { connect, answer }) = spans {
            // If the time-outs cannot be restored afterwards, they must stay the user's own.
            if Socket::CAN_ABORT {
                bounded = within(bounded, &way, answer);
            }
            bounded = bounded.tcp_connect_timeout(shorter(way.get_tcp_connect_timeout(), connect));
        }
        let driver =
            Conn::new(bounded).map_err(|error| if comes_again(&error, &way) { lasting(error) } else { error })?;
        let mut conn = self.wrap(driver, way)?;
        conn.learn()?;
        conn.judge()?;
        conn.socket.set_timeouts(conn.opts.get_read_timeout().copied(), conn.opts.get_write_timeout().copied())?;
        Ok(conn)
    }

    /// From here on the attempt can be aborted.
    fn wrap(&self, driver: Conn, opts: Opts) -> Result<Connection> {
        let socket = Arc::new(Socket::of(&driver)?);
        if let Some(limit) = self.limit.filter(|_| Socket::CAN_ABORT) {
            let socket = Arc::clone(&socket);
            limit.on_abort(move || socket.abort());
        }
        let is_plain = opts.get_init().iter().all(|text| sql::effect(text) < Effect::Anything);
        Ok(Connection {
            baseline: Baseline { connection_id: driver.connection_id(), is_plain, ..Baseline::default() },
            driver,
            statements: Statements::new(opts.get_stmt_cache_size(), self.manager.changes.clone()),
            health: Health::default(),
            tracker: Tracker::default(),
            address: socket.peer(),
            socket,
            opts: Arc::new(opts),
            beyond_reset: false,
            role: self.manager.role,
            read_only: ReadOnly::default(),
            writes: Writes::default(),
            hosts: self.manager.hosts.clone(),
        })
    }

    fn left(&self) -> Option<Duration> {
        self.limit.and_then(Limit::remaining)
    }

    fn is_over(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }
}

impl Spans {
    fn whole(left: Duration) -> Self {
        Self { connect: left, answer: left }
    }
}

/// Whether neither the server nor its machine responded.
fn is_silence(error: &Error) -> bool {
    let of_socket = |error: &io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    match error {
        Error::DriverError(DriverError::ConnectTimeout) => true,
        Error::IoError(error) => of_socket(error),
        Error::CodecError(error) => error.source().and_then(|error| error.downcast_ref()).is_some_and(of_socket),
        _ => false,
    }
}

/// If all addresses fail, the error with the greatest weight is returned. An error of a server outweighs one of the network. An error that
/// may pass outweighs one that recurs at the same address, and a full server outweighs all, because it would serve if it had room.
pub(super) fn weight(error: &Error) -> u8 {
    match (fault(error), error) {
        (Fault::Capacity, _) => 3,
        (Fault::Permanent, _) => 1,
        (Fault::WrongRole, _) | (_, Error::MySqlError(_)) => 2,
        _ => 0,
    }
}

/// The kernel accepts a connection at once, but the server behind it may be busy: its answers get this many times the limit of the connect.
const ANSWERS_LATER: u32 = 4;
