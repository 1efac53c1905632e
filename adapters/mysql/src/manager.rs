//! `MySqlManager`: where to connect and how.
//!
//! Holds the settings, without I/O; `contract.rs` implements the pool's calls.

use crate::hosts::Hosts;
use crate::role::Role;
use crate::schema::SchemaChanges;
use crate::source::Source;
use mysql::{Opts, UrlError};
use std::fmt;
use std::sync::Arc;

/// Opens connections to one MySQL or MariaDB server.
///
/// A clone opens connections to the same server.
///
/// ```no_run
/// use cabrank_mysql::mysql::prelude::Queryable;
/// use cabrank_mysql::{MySqlManager, Pool};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = MySqlManager::from_url("mysql://app:secret@db.example/shop")?.program_name("orders");
/// let pool = Pool::builder().max_size(8).build(manager)?;
/// let one: Option<u32> = pool.get()?.query_first("SELECT 1")?;
/// # let _ = one;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MySqlManager {
    pub(crate) source: Source,
    pub(crate) prefer_socket: bool,
    pub(crate) program_name: Option<String>,
    pub(crate) role: Role,
    /// Schema changes seen by all the connections.
    pub(crate) changes: SchemaChanges,
    pub(crate) hosts: Hosts,
}

impl MySqlManager {
    /// Connects with these options: a `mysql::OptsBuilder` or `mysql::Opts`.
    ///
    /// Their `init` statements run on each new connection and again after each reset. `SET NAMES`, `sql_mode` and the like belong there: in
    /// the pool's `on_open` they cost a reset after each loan. The options' own settings for a pool are ignored.
    ///
    /// ```
    /// use cabrank_mysql::MySqlManager;
    /// use cabrank_mysql::mysql::OptsBuilder;
    ///
    /// let options = OptsBuilder::new()
    ///     .ip_or_hostname(Some("db.example"))
    ///     .user(Some("app"))
    ///     .pass(Some("secret"))
    ///     .db_name(Some("shop"))
    ///     .init(vec!["SET SESSION time_zone = '+00:00'"]);
    /// let manager = MySqlManager::new(options);
    /// # let _ = manager;
    /// ```
    pub fn new(opts: impl Into<Opts>) -> Self {
        Self::from_source(Source::Fixed(opts.into()))
    }

    /// Connects by a URL, such as `mysql://user:password@host:3306/database?stmt_cache_size=64`. `mariadb://` means the same.
    ///
    /// ```
    /// use cabrank_mysql::MySqlManager;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let manager = MySqlManager::from_url("mariadb://app:secret@db.example/shop?stmt_cache_size=64")?;
    /// # let _ = manager;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The driver's, if it cannot parse the URL.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let prefers = query.split('&').any(|pair| pair == "prefer_socket=true");
        // The driver accepts only this scheme.
        let opts = match url.strip_prefix("mariadb:") {
            Some(rest) => Opts::from_url(&format!("mysql:{rest}"))?,
            None => Opts::from_url(url)?,
        };
        Ok(Self::new(opts).prefer_socket(prefers))
    }

    /// Calls `config` before each connection is opened: for passwords that expire and servers that move.
    ///
    /// It runs in a worker thread and may take until the pool's `connect_timeout`; after that the pool goes on without its result. An
    /// error counts as a failed connection attempt. Keep `init`, database and user the same in all results.
    ///
    /// ```
    /// use cabrank_mysql::MySqlManager;
    /// use cabrank_mysql::mysql::OptsBuilder;
    ///
    /// let manager = MySqlManager::with_config(|| {
    ///     let password = std::fs::read_to_string("/run/secrets/db")?;
    ///     let options = OptsBuilder::new().ip_or_hostname(Some("db.example")).user(Some("app")).pass(Some(password.trim()));
    ///     Ok(options.into())
    /// });
    /// # let _ = manager;
    /// ```
    pub fn with_config(config: impl Fn() -> mysql::Result<Opts> + Send + Sync + 'static) -> Self {
        Self::from_source(Source::Asked(Arc::new(config)))
    }

    /// Sets the connection attribute `program_name`, which identifies these connections to an administrator
    /// (`performance_schema.session_connect_attrs`). Default: the name in the options, or the pool's name; none if the options contain
    /// `connect_attrs(None)`. [`open`](Self::open), which has no pool, leaves it to the driver, which uses the name of this process.
    #[doc(alias = "application_name")]
    pub fn program_name(mut self, name: impl Into<String>) -> Self {
        self.program_name = Some(name.into());
        self
    }

    /// Whether a connection over loopback asks the server for its Unix socket and reconnects through that. Default: no (the driver's own
    /// default is yes). `prefer_socket` in the options is ignored, because an explicit setting there cannot be detected.
    ///
    /// With it there are briefly two sessions, of which the pool counts one.
    pub fn prefer_socket(mut self, prefer: bool) -> Self {
        self.prefer_socket = prefer;
        self
    }

    /// Lends only sessions whose server has this role. Default: [`Role::Any`].
    ///
    /// A server without the role is refused at opening, before `init` runs, retried as in an outage, and named in errors and events
    /// ([`Fault::WrongRole`](cabrank::Fault::WrongRole)). If a name has several addresses, each is asked, starting with the one that
    /// served last; with TLS the driver tries only the first. Each check queries the role, and so does the reset after a loan in which a
    /// statement has failed. A session whose server became read-only, or writable if a standby is required, is closed
    /// ([`CloseReason::WrongRole`](cabrank::CloseReason::WrongRole)), and all others are checked before their next loan. Each session
    /// thus costs one loan at most in which writes fail. With [`Role::Primary`] a write that the server refuses because it is read-only
    /// itself (1290 for `read_only` or `super_read_only`, 1836) means `Fault::WrongRole`. A deliberate `READ ONLY` transaction that
    /// writes (1792) costs that error and a reset.
    ///
    /// With [`SessionPolicy::Never`](cabrank::SessionPolicy::Never), which never resets, a session that has met such an error is not lent
    /// again, reported or not. It is lent again, until a check, after unreported errors that this crate cannot judge: those met through
    /// [`raw`](crate::Connection::raw), or with another code, when only InnoDB is read-only (1015, 1036).
    ///
    /// Costs no round trip: the settings `read_only`, `super_read_only` and `innodb_read_only` are queried together with other things at
    /// opening, in checks and in resets, never in a loan. A user who may write all the same (`CONNECTION_ADMIN`, `READ ONLY ADMIN`,
    /// `SUPER`) gets no session at a read-only server either. A server that has none of these settings is accepted in any role.
    ///
    /// With every role a Galera node that is detached from its cluster is refused, and detected by checks and resets, if it is MariaDB's:
    /// `wsrep_ready` is queried with the rest, unless `wsrep_dirty_reads` is on at the server.
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
        // Never all options, because they contain the password.
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
