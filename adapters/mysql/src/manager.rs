//! `MySqlManager`: what to connect to and how, and the contract with the pool.
//!
//! Owns the settings. Each step of the contract that takes more than a line is a file of its own: `open.rs`,
//! `reset.rs`, `fault.rs`, `line.rs`, `transaction.rs`.

use crate::connection::Connection;
use crate::line::MySqlAbortHandle;
use crate::{fault, open, reset};
use cabrank::{AbortHandle, Fault, Limit, Manager, SessionState};
use mysql::{Opts, UrlError};
use std::fmt;
use std::sync::Arc;

/// Opens connections to one MySQL or MariaDB server.
///
/// A clone opens the same.
#[derive(Clone)]
pub struct MySqlManager {
    pub(crate) source: Source,
    pub(crate) prefer_socket: bool,
    pub(crate) program_name: Option<String>,
}

impl MySqlManager {
    /// Connects as these options say: a `mysql::OptsBuilder` or `mysql::Opts`.
    ///
    /// Their `init` statements run on each new connection and again after each reset. Their pool options do not count.
    pub fn new(opts: impl Into<Opts>) -> Self {
        Self::from_source(Source::Fixed(opts.into()))
    }

    /// Connects as a URL says, such as `mysql://user:password@host:3306/database?stmt_cache_size=64`. `mariadb://` means the same.
    ///
    /// # Errors
    ///
    /// What the driver has to say about the URL.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let prefers = query.split('&').any(|pair| pair == "prefer_socket=true");
        // The driver knows the one scheme only.
        let opts = match url.strip_prefix("mariadb:") {
            Some(rest) => Opts::from_url(&format!("mysql:{rest}"))?,
            None => Opts::from_url(url)?,
        };
        Ok(Self::new(opts).prefer_socket(prefers))
    }

    /// Asks `config` before each connection is opened: for passwords that expire and servers that move.
    ///
    /// It runs in a worker thread and may take until the pool's `connect_timeout`; past that the pool goes on without its
    /// answer. An error counts as a failed attempt to connect. Keep `init`, database and user the same in all answers.
    pub fn with_config(config: impl Fn() -> mysql::Result<Opts> + Send + Sync + 'static) -> Self {
        Self::from_source(Source::Asked(Arc::new(config)))
    }

    fn from_source(source: Source) -> Self {
        Self { source, prefer_socket: false, program_name: None }
    }

    /// Whether a connection over loopback asks the server for its Unix socket and connects anew through that. Default:
    /// no (the driver's own default is yes), and whatever `prefer_socket` says in the options is not looked at, for
    /// nobody can tell whether it was asked for.
    ///
    /// With it there are two sessions for a moment, of which the pool counts one.
    pub fn prefer_socket(mut self, prefer: bool) -> Self {
        self.prefer_socket = prefer;
        self
    }

    /// The connection attribute `program_name`, by which an administrator sees whose connections these are
    /// (`performance_schema.session_connect_attrs`). Default: what the options say, or the pool's name; none if the
    /// options say `connect_attrs(None)`. [`open`](Self::open), which knows no pool, leaves it to the driver: the name of this process.
    pub fn program_name(mut self, name: impl Into<String>) -> Self {
        self.program_name = Some(name.into());
        self
    }

    /// Opens a connection outside of any pool, just as the pool would: for migrations before there is one.
    ///
    /// # Errors
    ///
    /// The driver's. Only the options' own time-outs bound how long it takes.
    pub fn open(&self) -> mysql::Result<Connection> {
        open::open(self, None)
    }
}

impl Manager for MySqlManager {
    type Connection = Connection;
    type Error = mysql::Error;

    fn connect(&self, limit: &Limit) -> mysql::Result<Connection> {
        open::open(self, Some(limit))
    }

    /// Asks for a number that nobody else can answer with: a late reply to an earlier command is no sign of life.
    fn is_valid(&self, conn: &mut Connection, _: &Limit) -> mysql::Result<()> {
        reset::check(conn)
    }

    /// A fatal error was met, or the line is not quiet: between commands the server says nothing, so that any byte is a
    /// late reply or its last word, and end of stream is the end.
    fn has_broken(&self, conn: &mut Connection) -> bool {
        conn.health.is_broken() || conn.wire.is_dead()
    }

    /// Known from the texts that were sent: the driver keeps the server's own word on the session to itself.
    fn session(&self, conn: &mut Connection) -> SessionState {
        if conn.is_clean() { SessionState::Clean } else { SessionState::Unknown }
    }

    fn reset(&self, conn: &mut Connection, _: &Limit) -> mysql::Result<()> {
        reset::reset(conn)
    }

    fn start_tracking(&self, conn: &mut Connection) {
        conn.traces.start_tracking();
    }

    /// Says goodbye and waits for the server to hang up.
    fn close(&self, conn: Connection, limit: &Limit) {
        let Connection { driver, wire, .. } = conn;
        drop(driver);
        wire.wait_for_end(limit.remaining());
    }

    fn fault(&self, error: &mysql::Error) -> Fault {
        fault::fault(error)
    }

    fn abort_handle(&self, conn: &Connection) -> Option<Box<dyn AbortHandle>> {
        MySqlAbortHandle::of(conn).map(|line| Box::new(line) as _)
    }
}

impl fmt::Debug for MySqlManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("MySqlManager");
        // Never all of the options: they hold the password.
        if let Source::Fixed(opts) = &self.source {
            shown
                .field("host", &opts.get_ip_or_hostname())
                .field("port", &opts.get_tcp_port())
                .field("socket", &opts.get_socket())
                .field("user", &opts.get_user())
                .field("database", &opts.get_db_name());
        }
        shown.field("prefer_socket", &self.prefer_socket).field("program_name", &self.program_name);
        shown.finish_non_exhaustive()
    }
}

/// Where the options come from.
#[derive(Clone)]
pub(crate) enum Source {
    Fixed(Opts),
    Asked(Arc<dyn Fn() -> mysql::Result<Opts> + Send + Sync>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_say_mariadb() {
        let manager = MySqlManager::from_url("mariadb://app:secret@db.example:3307/shop").unwrap();
        let Source::Fixed(opts) = manager.source else { panic!("they are fixed") };
        assert_eq!((&*opts.get_ip_or_hostname(), opts.get_tcp_port()), ("db.example", 3307));
        assert!(MySqlManager::from_url("mariadbs://db.example").is_err());
    }
}
