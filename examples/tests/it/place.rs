//! A database for one test on one engine, and an observer that uses the plain driver. Dropping the value removes the database.

use cabrank_mysql::mysql;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_postgres::postgres;
use cabrank_sqlite::rusqlite;
use cabrank_testing::harness::{Test, path, skip};
pub(crate) use cabrank_testing::servers::Engine;
use cabrank_testing::{eventually, servers};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use url::Url;

/// Creates a test for every engine.
pub(crate) fn on_each_engine(module: &str, name: &str, test: fn(&mut Place)) -> Vec<Test> {
    on(&Engine::ALL, module, name, test)
}

/// Creates a test for every engine except SQLite, where nothing blocks a reader.
#[cfg(unix)]
pub(crate) fn on_each_server(module: &str, name: &str, test: fn(&mut Place)) -> Vec<Test> {
    on(&[Engine::Postgres, Engine::Mysql, Engine::Mariadb], module, name, test)
}

/// Creates a test for PostgreSQL alone, of behaviour that does not depend on the engine.
#[cfg(unix)]
pub(crate) fn on_postgres(module: &str, name: &str, test: fn(&mut Place)) -> Vec<Test> {
    on(&[Engine::Postgres], module, name, test)
}

fn on(engines: &[Engine], module: &str, name: &str, test: fn(&mut Place)) -> Vec<Test> {
    let on = |engine: Engine| {
        let name = path([module, &format!("on_{engine}"), name]);
        Test::new(name, move || test(&mut Place::new(engine)))
    };
    engines.iter().copied().filter(|engine| engine.is_chosen()).map(on).collect()
}

/// A database that belongs to one test.
pub(crate) struct Place {
    pub(crate) engine: Engine,
    /// The value for `--url`.
    pub(crate) url: String,
    /// The name of the database on its server.
    name: String,
    /// Connected to the server outside this database, if there is a server.
    observer: Observer,
    _folder: Option<TempDir>,
}

impl Place {
    /// Creates the database. Skips the test if it has no server.
    fn new(engine: Engine) -> Self {
        if engine == Engine::Sqlite {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("test.db");
            let url = format!("sqlite:{}", path.display());
            let observer = Observer::new(&url);
            return Self { engine, url, name: "main".into(), observer, _folder: Some(folder) };
        }
        let variable = engine.url_variable();
        let mut url = servers::url(&variable).unwrap_or_else(|reason| skip(reason));
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("cabrank_test_{}_{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut observer = Observer::new(&url);
        observer.execute(&format!("CREATE DATABASE {name}"));
        let mut inside = Url::parse(&url).unwrap_or_else(|_| panic!("{variable} must be a URL"));
        inside.set_path(&name);
        url = inside.into();
        Self { engine, url, name, observer, _folder: None }
    }

    /// Returns another observer, which can hold locks and be sent to another thread.
    pub(crate) fn observer(&self) -> Observer {
        Observer::new(&self.url)
    }

    /// The number of tables in the database.
    pub(crate) fn tables(&mut self) -> i64 {
        let sql = match self.engine {
            Engine::Sqlite => "SELECT count(*) FROM sqlite_schema WHERE type = 'table'",
            Engine::Postgres => "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
            _ => "SELECT count(*) FROM information_schema.tables WHERE table_schema = database()",
        };
        self.observer().numbers(sql)[0]
    }

    /// The number of sessions in the database; 0 without a server.
    pub(crate) fn sessions(&mut self) -> i64 {
        let name = &self.name;
        match self.engine {
            Engine::Sqlite => 0,
            Engine::Postgres => {
                self.observer.numbers(&format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"))[0]
            }
            _ => {
                let sql = format!("SELECT count(*) FROM information_schema.processlist WHERE db = '{name}'");
                self.observer.numbers(&sql)[0]
            }
        }
    }

    /// The number of sessions in the database that wait for a lock on a table.
    #[cfg(unix)]
    pub(crate) fn blocked(&mut self) -> i64 {
        let name = &self.name;
        let sql = match self.engine {
            Engine::Sqlite => return 0,
            Engine::Postgres => {
                format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock'")
            }
            _ => format!(
                "SELECT count(*) FROM information_schema.processlist \
                 WHERE db = '{name}' AND state LIKE 'Waiting for table%lock'"
            ),
        };
        self.observer.numbers(&sql)[0]
    }

    /// Requires that the program has left no table and no session. All other observers must have been dropped.
    pub(crate) fn assert_empty(&mut self) {
        assert_eq!(self.tables(), 0, "no table is left");
        // The server may not have processed the goodbye of the observer that counted the tables.
        eventually("no session is left", || self.sessions() == 0);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let name = &self.name;
        match self.engine {
            Engine::Sqlite => {}
            Engine::Postgres => self.observer.execute(&format!("DROP DATABASE {name} WITH (FORCE)")),
            Engine::Mysql | Engine::Mariadb => self.observer.execute(&format!("DROP DATABASE {name}")),
        }
    }
}

/// A connection with the plain driver.
pub(crate) enum Observer {
    Sqlite(rusqlite::Connection),
    Postgres(Box<postgres::Client>),
    Mysql(Box<mysql::Conn>),
}

impl Observer {
    fn new(url: &str) -> Self {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let conn = rusqlite::Connection::open(path).expect("a file");
            conn.busy_timeout(Duration::from_secs(30)).expect("a setting");
            Self::Sqlite(conn)
        } else if url.starts_with("postgres") {
            Self::Postgres(Box::new(postgres::Client::connect(url, postgres::NoTls).expect("a server that answers")))
        } else {
            let opts = mysql::OptsBuilder::from_opts(mysql::Opts::from_url(url).expect("a URL")).prefer_socket(false);
            Self::Mysql(Box::new(mysql::Conn::new(opts).expect("a server that answers")))
        }
    }

    /// Runs one statement.
    pub(crate) fn execute(&mut self, sql: &str) {
        match self {
            Self::Sqlite(conn) => conn.execute_batch(sql).expect(sql),
            Self::Postgres(client) => client.batch_execute(sql).expect(sql),
            Self::Mysql(conn) => conn.query_drop(sql).expect(sql),
        }
    }

    /// Returns the first column of a query, which must have 64-bit integers.
    pub(crate) fn numbers(&mut self, sql: &str) -> Vec<i64> {
        match self {
            Self::Sqlite(conn) => {
                let mut query = conn.prepare(sql).expect(sql);
                query.query_map([], |row| row.get(0)).expect(sql).map(|row| row.expect(sql)).collect()
            }
            Self::Postgres(client) => client.query(sql, &[]).expect(sql).iter().map(|row| row.get(0)).collect(),
            Self::Mysql(conn) => conn.query(sql).expect(sql),
        }
    }
}

/// Far longer than anything here ever takes, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
