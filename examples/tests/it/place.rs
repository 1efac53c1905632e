//! A database for one test on one engine, and an observer at it that knows no pool. Gone with the value.

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

/// Makes a test of this one for every engine.
pub(crate) fn on_each_engine(module: &str, name: &str, test: fn(&mut Place)) -> Vec<Test> {
    on(&Engine::ALL, module, name, test)
}

/// The same but for SQLite, where nothing keeps a reader waiting.
#[cfg(unix)]
pub(crate) fn on_each_server(module: &str, name: &str, test: fn(&mut Place)) -> Vec<Test> {
    on(&[Engine::Postgres, Engine::Mysql, Engine::Mariadb], module, name, test)
}

/// For what is the same on every server.
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

/// A database of its own.
pub(crate) struct Place {
    pub(crate) engine: Engine,
    /// As `--url` takes it.
    pub(crate) url: String,
    /// The name of the database at its server.
    name: String,
    /// Outside of the database, if there is an outside.
    observer: Observer,
    _folder: Option<TempDir>,
}

impl Place {
    /// Without a server the test is skipped.
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

    /// Another observer, who can hold locks and be sent to another thread.
    pub(crate) fn observer(&self) -> Observer {
        Observer::new(&self.url)
    }

    /// How many tables are in the database.
    pub(crate) fn tables(&mut self) -> i64 {
        let sql = match self.engine {
            Engine::Sqlite => "SELECT count(*) FROM sqlite_schema WHERE type = 'table'",
            Engine::Postgres => "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
            _ => "SELECT count(*) FROM information_schema.tables WHERE table_schema = database()",
        };
        self.observer().numbers(sql)[0]
    }

    /// How many sessions the server has in the database; none where there is no server.
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

    /// How many sessions in the database wait for somebody's lock on a table.
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

    /// Whatever a program has opened and made is gone. The observers other than this one must be gone as well.
    pub(crate) fn assert_empty(&mut self) {
        assert_eq!(self.tables(), 0, "no table is left");
        // The observer that counted the tables has said goodbye, which the server may not have heard yet.
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

/// A connection by the plain driver.
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

    /// The first column, which must be of whole numbers of 64 bits.
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

/// Far longer than it ever takes, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
