//! `PostgresManager`: where to connect and how.
//!
//! Holds the settings only; `contract.rs` implements the pool's calls.

use crate::connector::{Tls, erase};
use crate::error::BoxError;
use crate::hosts::Hosts;
use crate::role::Role;
use crate::schema::SchemaChanges;
use crate::source::{Source, from_libpq_env};
use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{Config, Error, Socket};
use std::fmt;
use std::sync::Arc;

/// Opens connections to one PostgreSQL database, or to the same one on several hosts.
///
/// Of several hosts (`host=a,b`) the one that served last is tried first, and those that have failed in the last ten seconds last. A host
/// that stays silent for four times the recent time to a server's first byte, at least 250 ms, is skipped; if none responds, all are
/// tried again, with twice the time. A name is resolved when its turn comes, within its share of the time.
///
/// Addresses in `hostaddr` and Unix sockets are hosts like others, with two exceptions. A server that accepts on a Unix socket and stays
/// silent is not skipped, because the driver does not expose that socket. With several `hostaddr`s, or a Unix socket beside other hosts,
/// a `notice_callback` of the settings is not called, because it cannot be copied.
///
/// `tls` is a connector of any TLS library that works with the driver, such as `postgres-openssl` or `tokio-postgres-rustls`, or
/// [`NoTls`](postgres::NoTls). `sslmode` decides whether it is used: `disable`, `prefer` (the default: if the server offers it) or
/// `require`. The connector decides whether the certificate is checked.
///
/// ```no_run
/// use cabrank_postgres::postgres::NoTls;
/// use cabrank_postgres::{Pool, PostgresManager, Role};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = PostgresManager::from_url("postgres://app:secret@db1.example,db2.example/shop", NoTls)?
///     .application_name("orders")
///     .role(Role::Primary);
/// let pool = Pool::builder().max_size(8).build(manager)?;
/// # let _ = pool;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresManager {
    pub(crate) source: Source,
    pub(crate) tls: Arc<dyn Tls>,
    /// `None`: the name in the settings, or the pool's name.
    pub(crate) application_name: Option<String>,
    /// `None` until chosen: none behind a transaction pooler.
    pub(crate) statement_cache: Option<usize>,
    pub(crate) transaction_pooler: bool,
    pub(crate) role: Role,
    /// Shared by all connections, as is the next.
    pub(crate) changes: SchemaChanges,
    pub(crate) hosts: Hosts,
}

impl PostgresManager {
    /// Connects with the driver's settings.
    ///
    /// ```
    /// use cabrank_postgres::PostgresManager;
    /// use cabrank_postgres::postgres::{Config, NoTls};
    ///
    /// let mut config = Config::new();
    /// config.host("localhost").user("app").password("secret").dbname("shop");
    /// let manager = PostgresManager::new(config, NoTls).application_name("orders").statement_cache(200);
    /// # let _ = manager;
    /// ```
    pub fn new<T>(config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send + 'static,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send + 'static,
    {
        Self::from_source(Source::Fixed(Box::new(config)), erase(tls))
    }

    /// Connects by a URL (`postgres://user:password@host/database?sslmode=require`) or a string of `key=value` pairs, in either case
    /// with the keys of [`postgres::Config`].
    ///
    /// ```no_run
    /// use cabrank_postgres::postgres::NoTls;
    /// use cabrank_postgres::{Pool, PostgresManager};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let manager = PostgresManager::from_url("postgres://app:secret@localhost/shop", NoTls)?;
    /// let pool = Pool::builder().max_size(8).build(manager)?;
    /// let one: i32 = pool.get()?.query_one("SELECT 1", &[])?.get(0);
    /// # let _ = one;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The driver's, if it cannot parse the string.
    pub fn from_url<T>(url: &str, tls: T) -> Result<Self, Error>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send + 'static,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send + 'static,
    {
        Ok(Self::new(url.parse()?, tls))
    }

    /// Connects by the environment variables of libpq, read now: `PGHOST`, `PGHOSTADDR`, `PGPORT`, `PGDATABASE`, `PGUSER`,
    /// `PGPASSWORD`, `PGOPTIONS`, `PGAPPNAME`, `PGSSLMODE`, `PGSSLNEGOTIATION`, `PGCHANNELBINDING`, `PGCONNECT_TIMEOUT`,
    /// `PGTARGETSESSIONATTRS`, `PGLOADBALANCEHOSTS`. The default host is `localhost`.
    ///
    /// Files (`PGPASSFILE`, `PGSERVICEFILE`) are not read, and modes that the driver does not support (`verify-full`) are errors.
    ///
    /// ```no_run
    /// use cabrank_postgres::postgres::NoTls;
    /// use cabrank_postgres::{Pool, PostgresManager};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().build(PostgresManager::from_libpq_env(NoTls)?)?;
    /// # let _ = pool;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The driver's, if it cannot parse a variable's value.
    pub fn from_libpq_env<T>(tls: T) -> Result<Self, Error>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send + 'static,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send + 'static,
    {
        Ok(Self::new(from_libpq_env(|name| std::env::var(name).ok())?, tls))
    }

    /// Calls `config` before each connect: for credentials that expire. It runs in a worker of the pool, as part of the connect and
    /// within its limit. It may look something up, but must not open sessions at the server. Its error is the source of the pool's.
    ///
    /// ```
    /// use cabrank_postgres::PostgresManager;
    /// use cabrank_postgres::postgres::{Config, NoTls};
    /// use std::io;
    ///
    /// let manager = PostgresManager::with_config(
    ///     || -> io::Result<Config> {
    ///         let mut config = Config::new();
    ///         config.host("localhost").user("app").password(std::fs::read_to_string("/run/secrets/db")?.trim());
    ///         Ok(config)
    ///     },
    ///     NoTls,
    /// );
    /// # let _ = manager;
    /// ```
    pub fn with_config<T, E>(config: impl Fn() -> Result<Config, E> + Send + Sync + 'static, tls: T) -> Self
    where
        E: Into<BoxError>,
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send + 'static,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send + 'static,
    {
        Self::from_source(Source::Asked(Arc::new(move || config().map_err(Into::into))), erase(tls))
    }

    /// Sets the sessions' name in the server's `pg_stat_activity` and log, overriding the settings or the URL. Default: the name in
    /// these, or the pool's name. [`open`](Self::open), which has no pool, then leaves it unset.
    #[doc(alias = "program_name")]
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = Some(name.into());
        self
    }

    /// The number of statements that each connection caches for [`Connection::prepare_cached`](crate::Connection::prepare_cached).
    /// Default: 100, and none behind a transaction pooler; zero caches none. Their texts are limited to 1 MiB together, and texts beyond
    /// 32 KiB are not cached: a server needs many times that for its statements.
    pub fn statement_cache(mut self, capacity: usize) -> Self {
        self.statement_cache = Some(capacity);
        self
    }

    /// Declares that a pooler such as PgBouncer lends its sessions by the transaction. Default: no.
    ///
    /// The session is then not ours to keep clean: a reset only ends the transaction, and no statement is cached unless
    /// [`statement_cache`](Self::statement_cache) is set. The crate's documentation lists which of the driver's calls work there.
    ///
    /// ```
    /// use cabrank_postgres::PostgresManager;
    /// use cabrank_postgres::postgres::NoTls;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let manager = PostgresManager::from_url("postgres://app:secret@pgbouncer.example:6432/shop", NoTls)?
    ///     .transaction_pooler(true)
    ///     .statement_cache(100); // if the pooler supports prepared statements
    /// # let _ = manager;
    /// # Ok(())
    /// # }
    /// ```
    pub fn transaction_pooler(mut self, pooler: bool) -> Self {
        self.transaction_pooler = pooler;
        self
    }

    /// Lends only sessions whose server has this role. Default: [`Role::Any`], or [`Role::Primary`] if the settings contain
    /// `target_session_attrs=read-write`; settings that contradict the role make each connect fail.
    ///
    /// A server without the role is refused at opening, retried as in an outage, and named in errors and events
    /// ([`Fault::WrongRole`](cabrank::Fault::WrongRole)). Each check queries the role, and so does the reset after a loan in which the
    /// server has refused a write (25006). A session whose server was demoted, or became read-only, is closed
    /// ([`CloseReason::WrongRole`](cabrank::CloseReason::WrongRole)), and all others are checked before their next loan. Each session
    /// thus costs its holders one error at most, if it is reset after its loans. With
    /// [`SessionPolicy::Never`](cabrank::SessionPolicy::Never) there is no query after a refused write: a session goes on failing writes
    /// until its next check. A deliberate `READ ONLY` transaction that writes costs that error and a reset.
    ///
    /// Costs no round trip if the server itself reports the right role, as PostgreSQL 14 and later do at log-in and at each change. Costs
    /// one more at opening, and one more in each check, with older servers, over a Unix socket and behind a
    /// [`transaction_pooler`](Self::transaction_pooler), and before a server is refused. Never costs one in a loan. (A pooler that lends
    /// whole sessions may report the state at its own log-in. If that is the wrong role, the server is queried each time; if it is the
    /// right one, the first refused write reveals the change.)
    ///
    /// With [`Role::Primary`] `on_open` must not switch `default_transaction_read_only` on, which is a permanent error of each connect.
    /// For a pool that only reads from the primary begin `READ ONLY` transactions.
    ///
    /// ```
    /// use cabrank_postgres::postgres::NoTls;
    /// use cabrank_postgres::{PostgresManager, Role};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let manager = PostgresManager::from_url("postgres://app:secret@a,b/shop", NoTls)?.role(Role::Primary);
    /// # let _ = manager;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "target_session_attrs")]
    pub fn role(mut self, role: Role) -> Self {
        self.role = role;
        // A clone may require another role, and need the hosts in another order.
        self.hosts = Hosts::default();
        self
    }

    fn from_source(source: Source, tls: Arc<dyn Tls>) -> Self {
        Self {
            source,
            tls,
            application_name: None,
            statement_cache: None,
            transaction_pooler: false,
            role: Role::default(),
            hosts: Hosts::default(),
            changes: SchemaChanges::default(),
        }
    }
}

impl fmt::Debug for PostgresManager {
    /// Without passwords, as in the `Debug` of the driver's settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = match &self.source {
            Source::Fixed(config) => Some(config),
            Source::Asked(_) => None,
        };
        f.debug_struct("PostgresManager")
            .field("config", &config)
            .field("tls", &!self.tls.is_none())
            .field("application_name", &self.application_name)
            .field("transaction_pooler", &self.transaction_pooler)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
