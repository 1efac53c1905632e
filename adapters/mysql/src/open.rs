//! Opens a connection within a limit.
//!
//! Owns the order of the steps. The driver shows no descriptor until the connection is ready, so until then its own
//! time-outs are all there is to bound it; from then on it can be aborted.

use crate::baseline::Baseline;
use crate::bounds::{shorter, within};
use crate::connection::Connection;
use crate::error::{lasting, unsupported};
use crate::health::Health;
use crate::manager::MySqlManager;
use crate::questions;
use crate::questions::{ReadOnly, Writes};
use crate::socket::Socket;
use crate::source::Source;
use crate::sql;
use crate::sql::Effect;
use crate::statements::Statements;
use crate::tracker::Tracker;
use cabrank::Limit;
use mysql::{Conn, DriverError, Error, Opts, OptsBuilder, Result};
use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

impl MySqlManager {
    /// Opens a connection outside of any pool, just as the pool would: for migrations before there is one.
    ///
    /// # Errors
    ///
    /// The driver's. Only the options' own time-outs bound how long it takes.
    pub fn open(&self) -> mysql::Result<Connection> {
        open(self, None)
    }
}

/// Opens a connection, as the manager's settings say. Without a limit only the options' own time-outs bound it.
pub(crate) fn open(manager: &MySqlManager, limit: Option<&Limit>) -> Result<Connection> {
    let opts = options(manager, limit)?;
    if opts.get_ssl_opts().is_some() && !HAS_TLS {
        return Err(unsupported("TLS needs one of the features native-tls, rustls-tls, rustls-tls-ring"));
    }
    let (conn, opts) = dial(opts, limit)?;

    let socket = Arc::new(Socket::of(&conn)?);
    if let Some(limit) = limit.filter(|_| Socket::CAN_ABORT) {
        let socket = Arc::clone(&socket);
        limit.on_abort(move || socket.abort());
    }
    socket.set_timeouts(opts.get_read_timeout().copied(), opts.get_write_timeout().copied())?;

    let is_plain = opts.get_init().iter().all(|text| sql::effect(text) < Effect::Anything);
    let baseline = Baseline { connection_id: conn.connection_id(), is_plain, ..Baseline::default() };
    let statements = Statements::new(opts.get_stmt_cache_size(), manager.changes.clone());
    let (health, tracker, address) = (Health::default(), Tracker::default(), socket.peer());
    let mut conn = Connection {
        driver: conn,
        statements,
        health,
        tracker,
        socket,
        baseline,
        opts: Arc::new(opts),
        beyond_reset: false,
        role: manager.role,
        read_only: ReadOnly::default(),
        writes: Writes::default(),
        address,
        hosts: manager.hosts.clone(),
    };
    conn.init()?;
    let (letters, on_timeout, largest_packet) = questions::settings(&mut conn.driver)?;
    conn.baseline.largest_packet = conn.opts.get_max_allowed_packet().unwrap_or(largest_packet);
    (conn.baseline.letters, conn.health) = (letters, Health::new(on_timeout));
    conn.baseline.standing = conn.ask_first()?;
    conn.judge()?;
    Ok(conn)
}

/// The options with what this crate sets: the user's own values are kept.
fn options(manager: &MySqlManager, limit: Option<&Limit>) -> Result<Opts> {
    let opts = match &manager.source {
        Source::Fixed(opts) => opts.clone(),
        Source::Asked(ask) => look_up(limit, || ask())??,
    };
    let mut builder = OptsBuilder::from_opts(opts.clone()).prefer_socket(manager.prefer_socket);
    if opts.get_tcp_keepalive_time_ms().is_none() {
        builder = builder.tcp_keepalive_time_ms(Some(QUIET_MS));
    }
    #[cfg(target_os = "linux")]
    if opts.get_tcp_user_timeout_ms().is_none() {
        builder = builder.tcp_user_timeout_ms(Some(QUIET_MS));
    }
    // Options without any attributes ask for none to be sent.
    let unnamed = opts.get_connect_attrs().is_some_and(|attributes| !attributes.contains_key(PROGRAM_NAME));
    let of_pool = limit.filter(|_| unnamed).map(Limit::pool);
    if let Some(name) = manager.program_name.as_deref().or(of_pool) {
        let mut attributes: HashMap<String, String> = opts.get_connect_attrs().cloned().unwrap_or_default();
        attributes.insert(PROGRAM_NAME.into(), name.into());
        builder = builder.connect_attrs(Some(attributes));
    }
    Ok(builder.into())
}

/// Connects and logs in, trying each address of the host in turn. Returns the options that led there, too.
fn dial(opts: Opts, limit: Option<&Limit>) -> Result<(Conn, Opts)> {
    let addresses = addresses(&opts, limit)?;
    let mut failed = None;
    for (tried, address) in addresses.iter().enumerate() {
        let mut builder = OptsBuilder::from_opts(opts.clone());
        if let Some(address) = address {
            builder = builder.ip_or_hostname(Some(match address {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            }));
        }
        let way = Opts::from(builder);
        let mut bounded = OptsBuilder::from_opts(way.clone()).init(Vec::<String>::new());
        if let Some(left) = limit.and_then(Limit::remaining) {
            if left.is_zero() {
                break;
            }
            // Where these cannot be set back afterwards, they must stay the user's own.
            if Socket::CAN_ABORT {
                bounded = within(bounded, &way, left);
            }
            // One dead address leaves time for the others.
            let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            bounded = bounded.tcp_connect_timeout(shorter(way.get_tcp_connect_timeout(), share));
        }
        match Conn::new(bounded) {
            Ok(conn) => return Ok((conn, way)),
            Err(error @ Error::DriverError(DriverError::CouldNotConnect(_) | DriverError::ConnectTimeout)) => {
                failed = Some(error);
            }
            Err(error) if comes_again(&error, &way) => return Err(lasting(error)),
            Err(error) => return Err(error),
        }
    }
    Err(failed.unwrap_or(Error::DriverError(DriverError::ConnectTimeout)))
}

/// Is this error of a log-in about the settings or the server's certificate? What the network does may be otherwise the next time, and
/// so may what the server says for a reason that is not known here.
fn comes_again(error: &Error, way: &Opts) -> bool {
    let has_tls = way.get_ssl_opts().is_some() && way.get_socket().is_none();
    // The files of the certificates are read at each log-in, and rustls' verdicts come as what was read.
    let is_of_tls = |error: &io::Error| {
        has_tls
            && matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidData
            )
    };
    match error {
        Error::MySqlError(error) => ASKED_WRONGLY.contains(&error.code),
        Error::IoError(error) => is_of_tls(error),
        Error::CodecError(error) => error.source().and_then(|error| error.downcast_ref()).is_some_and(is_of_tls),
        #[cfg(any(feature = "native-tls", feature = "rustls-tls", feature = "rustls-tls-ring"))]
        Error::TlsError(error) => !is_of_network(error),
        _ => false,
    }
}

/// Does an error of input and output lie behind this one? (native-tls tells of the end of a stream in words alone.)
#[cfg(any(feature = "native-tls", feature = "rustls-tls", feature = "rustls-tls-ring"))]
fn is_of_network(error: &(dyn std::error::Error + 'static)) -> bool {
    let text = error.to_string().to_ascii_lowercase();
    let mut chain = std::iter::successors(Some(error), |&error| error.source());
    chain.any(|error| error.is::<io::Error>()) || text.contains("eof") || text.contains("interrupted")
}

/// The addresses to try; `None` stands for what the options themselves say.
///
/// The driver would look a name up where nobody can abort it, and give up at the first address that refuses. With TLS the
/// name must stay, for the certificate is checked against it: the driver then looks it up again.
fn addresses(opts: &Opts, limit: Option<&Limit>) -> Result<Vec<Option<IpAddr>>> {
    let host = opts.get_ip_or_hostname();
    if opts.get_socket().is_some() || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Ok(vec![None]);
    }
    let (name, port) = (host.into_owned(), opts.get_tcp_port());
    let found = look_up(limit, || (name.as_str(), port).to_socket_addrs().map(Vec::from_iter))?;
    let found = found.map_err(|error| {
        let host = format!("{name}:{port}");
        Error::DriverError(DriverError::CouldNotConnect(Some((host, error.to_string(), error.kind()))))
    })?;
    if opts.get_ssl_opts().is_some() {
        return Ok(vec![None]);
    }
    let mut addresses: Vec<_> = found.iter().map(|address| Some(address.ip())).collect();
    addresses.dedup();
    Ok(addresses)
}

/// Runs what nobody can abort, and gives up on it when the limit is over.
fn look_up<T>(limit: Option<&Limit>, look: impl FnOnce() -> T) -> Result<T> {
    match limit {
        None => Ok(look()),
        Some(limit) => limit.unabortable(look).ok_or(Error::DriverError(DriverError::ConnectTimeout)),
    }
}

/// The codes of the server, besides those that are permanent anywhere, for a log-in that asks for what it cannot have.
const ASKED_WRONGLY: [u16; 3] = [
    1043, // The handshake does not suit the server.
    1115, 1273, // A character set, a collation that it has not got.
];

const HAS_TLS: bool = cfg!(any(feature = "native-tls", feature = "rustls-tls", feature = "rustls-tls-ring"));

/// After so much silence a peer is asked whether it is still there, and so long it may leave sent bytes unacknowledged.
const QUIET_MS: u32 = 60_000;

/// The connection attribute that the driver fills with the name of this process unless told otherwise.
const PROGRAM_NAME: &str = "program_name";
