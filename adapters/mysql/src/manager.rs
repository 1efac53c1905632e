//! `MySqlManager`: what to connect to and how.
//!
//! Owns the settings, and does no I/O. What the pool does with them is `contract.rs`.

use crate::hosts::Hosts;
use crate::role::Role;
use crate::schema::SchemaChanges;
use crate::source::Source;
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
    pub(crate) role: Role,
    /// What the connections have met, all together.
    pub(crate) changes: SchemaChanges,
    pub(crate) hosts: Hosts,
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

    /// The connection attribute `program_name`, by which an administrator sees whose connections these are
    /// (`performance_schema.session_connect_attrs`). Default: what the options say, or the pool's name; none if the
    /// options say `connect_attrs(None)`. [`open`](Self::open), which knows no pool, leaves it to the driver: the name of this process.
    #[doc(alias = "application_name")]
    pub fn program_name(mut self, name: impl Into<String>) -> Self {
        self.program_name = Some(name.into());
        self
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

    /// Lends only sessions whose server has this role. Default: [`Role::Any`].
    ///
    /// A server in another role is refused at opening, before `init` runs, tried again as in an outage, and named in errors and events
    /// ([`Fault::WrongRole`](cabrank::Fault::WrongRole)). Where a name has several addresses, each is asked, and the one that served last
    /// is asked first; not with TLS, where the driver takes the first alone. Each check asks for the role, and so does the reset that
    /// follows a loan in which a statement has failed: a session whose server became read-only, or writable where a standby is asked for,
    /// is closed ([`CloseReason::WrongRole`](cabrank::CloseReason::WrongRole)), and all others are checked before their next loan. So each
    /// session costs one loan at most in which writes fail. With [`Role::Primary`] a write that the server refuses because it is read-only
    /// itself (1290 for `read_only` or `super_read_only`, 1836) means `Fault::WrongRole`. A deliberate `READ ONLY` transaction that writes
    /// (1792) costs that error and a reset.
    ///
    /// With [`SessionPolicy::Never`](cabrank::SessionPolicy::Never), which knows no reset, a session that has met such an error is not
    /// lent again, reported or not. It is lent on, until a check, after errors that nobody reports and this crate cannot judge: met by
    /// [`raw`](crate::Connection::raw), or with another code, where InnoDB alone is read-only (1015, 1036).
    ///
    /// Costs no round trip: the settings `read_only`, `super_read_only` and `innodb_read_only` are asked for along with what is asked
    /// anyway, at opening, in checks and in resets. Never in a loan. A user who may write all the same (`CONNECTION_ADMIN`, `READ ONLY
    /// ADMIN`, `SUPER`) gets no session at a read-only server either, and one that has none of these settings is taken in any role.
    ///
    /// With every role a node of Galera that is detached from its cluster is refused, and found by checks and resets, where it is
    /// MariaDB's: `wsrep_ready` is asked for along with the rest, unless `wsrep_dirty_reads` is on at the server.
    ///
    /// ```
    /// use cabrank_mysql::{MySqlManager, Role};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let manager = MySqlManager::from_url("mysql://app:secret@db.example/shop")?.role(Role::Primary);
    /// # let _ = manager;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "read_only")]
    pub fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    fn from_source(source: Source) -> Self {
        Self {
            source,
            prefer_socket: false,
            program_name: None,
            role: Role::default(),
            changes: SchemaChanges::default(),
            hosts: Hosts::default(),
        }
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
        shown.field("role", &self.role);
        shown.finish_non_exhaustive()
    }
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
