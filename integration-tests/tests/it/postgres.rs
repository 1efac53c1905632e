//! PostgreSQL with `cabrank-postgres`.

use crate::subject::{Remote, Subject};
use crate::watch::Watch;
use cabrank_postgres::postgres::fallible_iterator::FallibleIterator;
use cabrank_postgres::postgres::{Config, Error, GenericClient, IsolationLevel, NoTls, SimpleQueryMessage};
use cabrank_postgres::{Connection, PostgresManager, Transaction, TransactionOptions};
use integration_tests::{Database, Engine, Server};
use std::convert::Infallible;
use url::Url;

pub(crate) struct Postgres {
    watch: Watch,
    // Dropped after the watch.
    database: Database,
}

impl Subject for Postgres {
    const ENGINE: Engine = Engine::Postgres;

    const DIRT: &'static [(&'static str, &'static str)] = &[
        ("SET statement_timeout = 7000", "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'"),
        ("SELECT set_config('work_mem', '7MB', false)", "SELECT setting FROM pg_settings WHERE name = 'work_mem'"),
        (
            "UPDATE pg_settings SET setting = '7168' WHERE name = 'work_mem'",
            "SELECT setting FROM pg_settings WHERE name = 'work_mem'",
        ),
        ("SELECT sets()", "SELECT setting FROM pg_settings WHERE name = 'work_mem'"),
        ("SET search_path = pg_catalog", "SELECT count(*) FROM unnest(current_schemas(false)) AS s WHERE s = 'public'"),
        ("SET ROLE pg_monitor", "SELECT (current_user = session_user)::int"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", READ_ONLY),
        ("CREATE TEMP TABLE left_over (x INT)", TEMPORARY),
        ("CREATE TEMP TABLE left_over AS SELECT 1 AS x", TEMPORARY),
        ("SELECT 1 AS x INTO TEMP left_over", TEMPORARY),
        ("SELECT pg_advisory_lock(7)", LOCKS),
        ("SELECT locks()", LOCKS),
        ("LISTEN rumours", "SELECT count(*) FROM pg_listening_channels()"),
        ("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT", "SELECT count(*) FROM pg_cursors WHERE name = 'c'"),
        ("PREPARE left_over AS SELECT 1", "SELECT count(*) FROM pg_prepared_statements WHERE from_sql"),
    ];

    const ENDLESS: &'static str = "SELECT 1 FROM pg_sleep(60)";

    type Manager = PostgresManager;

    fn new() -> Self {
        let database = Database::new(Server::of(Self::ENGINE).expect("it was there a moment ago")).expect("a database");
        let mut client = Config::connect(&config(&database.url()), NoTls).expect("a login");
        client
            .batch_execute(
                "CREATE TABLE account (id INT PRIMARY KEY, money BIGINT NOT NULL);
                 INSERT INTO account VALUES (1, 0);
                 CREATE FUNCTION sets() RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '7MB', false) $$;
                 CREATE FUNCTION locks() RETURNS void LANGUAGE sql AS $$ SELECT pg_advisory_lock(8) $$",
            )
            .expect("tables");
        drop(client);
        let mut admin = database.server().log_in().expect("a login");
        admin.execute(&format!("GRANT pg_monitor TO {}", database.name())).expect("another role");
        Self { watch: Watch::new(&database), database }
    }

    fn manager(&self) -> PostgresManager {
        PostgresManager::new(config(&self.database.url()), NoTls)
    }

    fn execute(conn: &mut Connection, sql: &str) -> Result<(), Error> {
        conn.batch_execute(sql)
    }

    fn number(conn: &mut Connection, sql: &str) -> Result<i64, Error> {
        number(conn.client(), sql)
    }

    fn execute_in(transaction: &mut Transaction<'_>, sql: &str) -> Result<(), Error> {
        transaction.batch_execute(sql)
    }

    fn number_in(transaction: &mut Transaction<'_>, sql: &str) -> Result<i64, Error> {
        number(transaction.driver(), sql)
    }

    fn serializable() -> TransactionOptions {
        TransactionOptions::new().isolation_level(IsolationLevel::Serializable)
    }

    fn watch(&self) -> Option<&Watch> {
        Some(&self.watch)
    }

    fn sessions(&self) -> usize {
        self.database.sessions().expect("a server that is there").len()
    }
}

impl Remote for Postgres {
    const WHO: &'static str = "SELECT pg_backend_pid()";
    const SOME_SECONDS: &'static str = "SELECT 7 FROM pg_sleep(3)";
    const IDLE_LIMIT: &'static str = "SET idle_session_timeout = 2000";

    fn database(&self) -> &Database {
        &self.database
    }

    fn manager_asking(url: impl Fn() -> Url + Send + Sync + 'static) -> PostgresManager {
        PostgresManager::with_config(move || Ok::<_, Infallible>(config(&url())), NoTls)
    }

    /// This driver cannot give up, and waits forever.
    fn hasty_manager(url: Url) -> PostgresManager {
        Self::manager_by(url)
    }

    /// Most rows are still on their way when the first arrives.
    fn walk_away(conn: &mut Connection, number: i64) {
        let rows = conn.query_raw("SELECT $1::int8 FROM generate_series(1, 2000)", [number]);
        let _ = rows.and_then(|mut rows| rows.next());
    }
}

/// By the simple protocol, which returns numbers of every width as text.
fn number(client: &mut impl GenericClient, sql: &str) -> Result<i64, Error> {
    let messages = client.simple_query(sql)?;
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(row.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{sql}: no number but {row:?}")))
}

fn config(url: &Url) -> Config {
    url.as_str().parse().expect("a URL that the driver understands")
}

const TEMPORARY: &str = "SELECT count(*) FROM pg_class WHERE relname = 'left_over'";
const LOCKS: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
const READ_ONLY: &str =
    "SELECT count(*) FROM pg_settings WHERE name = 'default_transaction_read_only' AND setting = 'on'";
