//! The server under test, and a snapshot of a session's state.

use cabrank_postgres::cabrank::{Builder, GetError};
use cabrank_postgres::postgres::config::{Host, SslMode};
use cabrank_postgres::postgres::{Client, Config, NoTls, SimpleQueryMessage};
use cabrank_postgres::{Pool, PostgresManager};
use cabrank_testing::harness::{Test, path, skip};
#[cfg(unix)]
use cabrank_testing::proxy::UnixDoor;
use cabrank_testing::proxy::{Framing, Message};
use cabrank_testing::servers::url;
use cabrank_testing::{Proxy, eventually};
use std::error::Error;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Creates a test on the server in `CABRANK_POSTGRES_URL`.
pub(crate) fn on_server(module: &str, name: &str, test: fn(Server)) -> [Test; 1] {
    [Test::new(path([module, name]), move || test(Server { config: named_by("CABRANK_POSTGRES_URL") }))]
}

/// Creates a test on the PgBouncer in `CABRANK_PGBOUNCER_URL`.
pub(crate) fn behind_pgbouncer(module: &str, name: &str, test: fn(Config)) -> [Test; 1] {
    [Test::new(path([module, name]), move || test(named_by("CABRANK_PGBOUNCER_URL")))]
}

/// A server with a TCP address.
pub(crate) struct Server {
    pub(crate) config: Config,
}

impl Server {
    pub(crate) fn manager(&self) -> PostgresManager {
        PostgresManager::new(self.config.clone(), NoTls)
    }

    pub(crate) fn pool(&self, max_size: u32) -> Pool {
        builder().max_size(max_size).build(self.manager()).expect("a pool")
    }

    /// A proxy in front of the server that records its clients' messages.
    pub(crate) fn proxy(&self) -> Proxy {
        let proxy = Proxy::with_framing(self.address(), Framing::Postgres).expect("a proxy");
        proxy.record();
        proxy
    }

    /// The same settings through the proxy, unencrypted.
    pub(crate) fn through(&self, proxy: &Proxy) -> Config {
        let (mut config, address) = (Config::new(), proxy.address());
        config.host(&address.ip().to_string()).port(address.port()).ssl_mode(SslMode::Disable);
        config.user(self.config.get_user().expect("a user"));
        self.config.get_password().map(|password| config.password(password));
        self.config.get_dbname().map(|name| config.dbname(name));
        config
    }

    /// A Unix socket that leads to the server, in a separate folder, which the caller removes.
    #[cfg(unix)]
    pub(crate) fn unix_door(&self, test: &str) -> (UnixDoor, PathBuf) {
        let folder = std::env::temp_dir().join(format!("cabrank-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let (host, port) = self.address();
        let door = UnixDoor::open(folder.join(format!(".s.PGSQL.{port}")), (host, port)).expect("a socket");
        (door, folder)
    }

    fn address(&self) -> (String, u16) {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            _ => self.config.get_hostaddrs().first().expect("a TCP address").to_string(),
        };
        (host, self.config.get_ports().first().copied().unwrap_or(5432))
    }

    /// A connection without a pool.
    pub(crate) fn client(&self) -> Client {
        self.config.connect(NoTls).expect("a connection")
    }

    /// Creates an empty table of this name.
    pub(crate) fn table(&self, name: &str, columns: &str) {
        let create = format!("DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({columns})");
        self.client().batch_execute(&create).expect("a table");
    }

    /// Whether this session exists.
    pub(crate) fn has_session(&self, pid: i32) -> bool {
        let sql = "SELECT 1 FROM pg_stat_activity WHERE pid = $1";
        self.client().query_opt(sql, &[&pid]).expect("an answer").is_some()
    }

    pub(crate) fn kill(&self, pid: i32) {
        self.client().execute("SELECT pg_terminate_backend($1)", &[&pid]).expect("a death");
        eventually("the session ends", || !self.has_session(pid));
    }

    /// A cancel sent after this hits the sleep and nothing before it.
    pub(crate) fn wait_for_sleep(&self, pid: i32) {
        let sql = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'";
        let mut client = self.client();
        eventually("the statement sleeps", || client.query_opt(sql, &[&pid]).expect("an answer").is_some());
    }

    pub(crate) fn wait_for_query(&self, pid: i32, query: &str) {
        let sql = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND query LIKE $2";
        let mut client = self.client();
        let pattern = format!("%{query}%");
        eventually("the statement runs", || client.query_opt(sql, &[&pid, &pattern]).expect("an answer").is_some());
    }
}

/// The settings in the URL of this variable. Skips the test if it is not set.
fn named_by(variable: &str) -> Config {
    let url = url(variable).unwrap_or_else(|reason| skip(reason));
    url.parse().unwrap_or_else(|error| panic!("{variable} must be a URL that the driver understands: {error}"))
}

/// The messages of the proxy's clients since the last call: the type of each, and the text of simple queries. The names of prepared
/// statements are left out, because they are numbered across the whole process.
pub(crate) fn taken(proxy: &Proxy) -> Vec<String> {
    let note = |message: Message| match char::from(message.kind?) {
        'Q' => Some(format!("Q {}", String::from_utf8_lossy(&message.body).trim_end_matches('\0'))),
        kind => Some(kind.to_string()),
    };
    proxy.take_messages().into_iter().filter_map(note).collect()
}

/// Without checks, because slow ones on a busy machine could close connections, which most tests count.
pub(crate) fn builder() -> Builder<PostgresManager> {
    Pool::builder().check_after(Duration::MAX)
}

/// The pool's first connection error.
pub(crate) fn first_failure(pool: &Pool) -> Arc<dyn Error + Send + Sync> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let Err(GetError::Timeout(report)) = pool.get_timeout(Duration::from_millis(100)) else {
            panic!("no time-out")
        };
        if let Some((error, _)) = report.last_connect_error {
            return error;
        }
    }
    panic!("nothing failed within {PATIENCE:?}");
}

/// For events that happen at once on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Everything about a session that can be queried, as lines to compare.
pub(crate) fn session_of(client: &mut Client) -> Vec<String> {
    let rows = client.simple_query(SESSION).expect("a description of the session");
    let lines = rows.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("nothing").to_owned()),
        _ => None,
    });
    lines.collect()
}

const SESSION: &str = "
    SELECT 'transaction ' || (now() <> statement_timestamp())
    UNION ALL SELECT 'user ' || current_user || ' ' || session_user
    UNION ALL SELECT 'setting ' || name || ' ' || setting FROM pg_settings
        WHERE name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')
        AND name NOT LIKE 'plpgsql.%'
    UNION ALL SELECT 'tenant ' || coalesce(current_setting('my.tenant', true), '')
    UNION ALL SELECT 'setting role ' || current_setting('role')
    UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
    UNION ALL SELECT 'listens ' || pg_listening_channels()
    UNION ALL SELECT 'cursor ' || name FROM pg_cursors WHERE name <> ''
    UNION ALL SELECT 'prepared ' || name FROM pg_prepared_statements WHERE from_sql
    UNION ALL SELECT 'temporary ' || relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()";
