//! `PostgresManager`: where to connect and how.
//!
//! Owns the settings, and does nothing with them: what the pool calls is `contract.rs`.

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
/// Of several hosts (`host=a,b`) the one that served last is tried first, and those that have failed in the last ten seconds come
/// last. One that says nothing for four times as long as servers have lately taken for their first word, at least 250 ms, is left for
/// the next; if none says anything, all are tried again, with twice the time. A name is looked up when its turn comes, within its share of
/// the time. Addresses in `hostaddr` and Unix sockets are hosts like others, but for two things: a server that accepts on a Unix socket and
/// says nothing is not left, for the driver shows nothing of it; and where there are several `hostaddr`s, or a Unix socket beside others, a
/// `notice_callback` of the settings is not called: it cannot be copied.
///
/// `tls` is a connector of any TLS library that works with the driver, such as `postgres-openssl` or
/// `tokio-postgres-rustls`, or [`NoTls`](postgres::NoTls). Whether it is used is for `sslmode` to say: `disable`, `prefer`
/// (the default: if the server offers it) or `require`. Whether the certificate is checked is the connector's affair.
#[derive(Clone)]
pub struct PostgresManager {
    pub(crate) source: Source,
    pub(crate) tls: Arc<dyn Tls>,
    /// `None`: what the settings say, or the pool's name.
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
    /// Connects with the driver's own settings.
    pub fn new<T>(config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send + 'static,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send + 'static,
    {
        Self::from_source(Source::Fixed(Box::new(config)), erase(tls))
    }

    /// Connects by a URL (`postgres://user:password@host/database?sslmode=require`) or a string of `key=value` pairs, in
    /// either case with the keys of [`postgres::Config`].
    ///
    /// # Errors
    ///
    /// The driver's, if it does not understand the string.
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
    /// `PGTARGETSESSIONATTRS`, `PGLOADBALANCEHOSTS`. Without a host it is `localhost`.
    ///
    /// Files (`PGPASSFILE`, `PGSERVICEFILE`) are not read, and the modes that the driver does not know (`verify-full`) are
    /// errors.
    ///
    /// # Errors
    ///
    /// The driver's, if it does not understand a variable's value.
    pub fn from_libpq_env<T>(tls: T) -> Result<Self, Error>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send + 'static,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send + 'static,
    {
        Ok(Self::new(from_libpq_env(|name| std::env::var(name).ok())?, tls))
    }

    /// Asks `config` before each connect: for credentials that expire. It runs in a worker of the pool, as part of
    /// the connect and within its limit, so it may look something up; it must not open sessions at the server. Its error
    /// is the source of the pool's.
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

    /// What the server's `pg_stat_activity` and log call the sessions, whatever the settings or the URL say. Default: what these say, or
    /// the pool's name. [`open`](Self::open), which has no pool, then leaves it unset.
    #[doc(alias = "program_name")]
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = Some(name.into());
        self
    }

    /// How many statements each connection keeps for [`Connection::prepare_cached`](crate::Connection::prepare_cached).
    /// Default: 100, and none behind a transaction pooler; zero keeps none. Their texts have at most 1 MiB together, and texts
    /// beyond 32 KiB are not kept: a server needs many times that for its statements.
    pub fn statement_cache(mut self, capacity: usize) -> Self {
        self.statement_cache = Some(capacity);
        self
    }

    /// Says that a pooler such as PgBouncer stands in between and lends its sessions by the transaction. Default: no.
    ///
    /// Then there is no session of ours to keep clean: a reset only ends the transaction, and no statement is kept unless
    /// [`statement_cache`](Self::statement_cache) says so. See the crate's documentation for which of the driver's calls work
    /// there.
    pub fn transaction_pooler(mut self, pooler: bool) -> Self {
        self.transaction_pooler = pooler;
        self
    }

    /// Lends only sessions whose server has this role. Default: [`Role::Any`], or [`Role::Primary`] if the settings say
    /// `target_session_attrs=read-write`; settings that contradict the role are an error of each connect.
    ///
    /// A server in another role is refused at opening, tried again as in an outage, and named in errors and events
    /// ([`Fault::WrongRole`](cabrank::Fault::WrongRole)). Each check asks for the role, and so does the reset after a loan in which
    /// the server has refused a write (25006): a session whose server was demoted, or became read-only, is closed
    /// ([`CloseReason::WrongRole`](cabrank::CloseReason::WrongRole)), and all others are checked before their next loan. So each session
    /// costs its holders one error at most, if it is reset after its loans. With [`SessionPolicy::Never`](cabrank::SessionPolicy::Never)
    /// nobody asks after a refused write: there a session goes on failing writes until its next check. A deliberate `READ ONLY` transaction
    /// that writes costs that error and a reset.
    ///
    /// Costs no round trip where the server itself shows that its role is right, as PostgreSQL 14 and later do at log-in and whenever it
    /// changes. One more at opening, and one more in each check, with older servers, over a Unix socket and behind a
    /// [`transaction_pooler`](Self::transaction_pooler), and before a server is refused. Never one in a loan. (A pooler that lends whole
    /// sessions may show what was so when it logged in itself. If that is the wrong role, the server is asked each time; if it is the right
    /// one, the role is found out by the first write that is refused.)
    ///
    /// With [`Role::Primary`] `on_open` must not switch `default_transaction_read_only` on: that is an error of each connect, which is
    /// permanent. For a pool that only reads from the primary begin `READ ONLY` transactions.
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
        // A clone may ask for another role, and want the hosts in another order.
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
    /// Without passwords: the driver's own settings hide theirs.
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
