//! A separate database on a running server, and an observer at that server.

use cabrank_mysql::cabrank::Builder;
use cabrank_mysql::mysql::prelude::{FromRow, Queryable};
use cabrank_mysql::mysql::{Conn, Opts, OptsBuilder};
use cabrank_mysql::{MySqlManager, Pool};
use cabrank_testing::harness::{Test, path, skip};
#[cfg(unix)]
use cabrank_testing::proxy::UnixDoor;
use cabrank_testing::servers::{Engine, url};
use cabrank_testing::{Proxy, eventually};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, process, thread};

/// Makes two tests of one, for MySQL and for MariaDB.
pub(crate) fn on_each_server(module: &str, name: &str, test: fn(&Server)) -> Vec<Test> {
    let on = |engine: Engine| {
        let name = path([module, &format!("on_{engine}"), name]);
        Test::new(name, move || test(&Server::of(engine)))
    };
    [Engine::Mysql, Engine::Mariadb].into_iter().filter(|engine| engine.is_chosen()).map(on).collect()
}

/// A server, and a database on it with the table `account(id, money)`, rows 1 to 50, all zero. Dropped at the end.
pub(crate) struct Server {
    pub(crate) opts: Opts,
    pub(crate) database: String,
    observer: Mutex<Conn>,
}

impl Server {
    /// Skips the test without a server.
    fn of(engine: Engine) -> Self {
        let url = url(&engine.url_variable()).unwrap_or_else(|reason| skip(reason));
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let own = OptsBuilder::from_opts(Opts::from_url(&url).expect("a URL")).prefer_socket(false);
        let mut observer = Conn::new(own.clone().db_name(None::<String>)).expect("a server that answers");
        let database = format!("cabrank_test_{}_{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        for sql in [
            format!("CREATE DATABASE {database}"),
            format!("CREATE TABLE {database}.account (id INT PRIMARY KEY, money INT NOT NULL) ENGINE=InnoDB"),
        ] {
            observer.query_drop(sql).expect("the right to make a database");
        }
        observer
            .exec_batch(format!("INSERT INTO {database}.account VALUES (?, 0)"), (1..=50).map(|id| (id,)))
            .expect("fifty rows");
        let opts = own.db_name(Some(database.clone())).into();
        Self { opts, database, observer: Mutex::new(observer) }
    }

    pub(crate) fn opts(&self) -> OptsBuilder {
        OptsBuilder::from_opts(self.opts.clone())
    }

    /// Ignores the socket that the URL may name: for addresses without a server, and for proxies.
    pub(crate) fn tcp(&self) -> OptsBuilder {
        self.opts().socket(None::<String>)
    }

    /// A proxy in front of the server.
    pub(crate) fn proxy(&self) -> Proxy {
        Proxy::start(self.address()).expect("a proxy")
    }

    /// Options that lead through the proxy.
    pub(crate) fn through(&self, proxy: &Proxy) -> OptsBuilder {
        let address = proxy.address();
        self.tcp().ip_or_hostname(Some(address.ip().to_string())).tcp_port(address.port())
    }

    /// A Unix socket that leads to the server.
    #[cfg(unix)]
    pub(crate) fn unix_door(&self) -> UnixDoor {
        let path = env::temp_dir().join(format!("{}.sock", self.database));
        UnixDoor::open(path, self.address()).expect("a socket")
    }

    fn address(&self) -> (String, u16) {
        (self.opts.get_ip_or_hostname().into_owned(), self.opts.get_tcp_port())
    }

    pub(crate) fn manager(&self) -> MySqlManager {
        MySqlManager::new(self.opts())
    }

    /// Without checks before a loan, so that deaths are detected only by looking at the socket.
    pub(crate) fn builder(&self, max_size: u32) -> Builder<MySqlManager> {
        Pool::builder().max_size(max_size).check_after(Duration::MAX)
    }

    pub(crate) fn pool(&self, max_size: u32) -> Pool {
        self.builder(max_size).build(self.manager()).expect("a pool")
    }

    /// A connection outside the pool.
    pub(crate) fn aside(&self) -> Conn {
        Conn::new(self.opts()).expect("a connection")
    }

    pub(crate) fn run(&self, sql: impl AsRef<str>) {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner).query_drop(sql).expect("a statement");
    }

    /// Returns whether the statement succeeded.
    pub(crate) fn try_run(&self, sql: impl AsRef<str>) -> bool {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner).query_drop(sql).is_ok()
    }

    pub(crate) fn ask<T: FromRow>(&self, sql: impl AsRef<str>) -> Option<T> {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner).query_first(sql).expect("a query")
    }

    pub(crate) fn money(&self, id: u32) -> i64 {
        self.ask(format!("SELECT money FROM {}.account WHERE id = {id}", self.database)).expect("an account")
    }

    /// The server's sessions in this database.
    pub(crate) fn sessions(&self) -> u64 {
        let sql = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE db = '{}'", self.database);
        self.ask(sql).expect("a count")
    }

    /// Whether the session runs a statement that contains this text.
    pub(crate) fn runs(&self, id: u32, part: &str) -> bool {
        let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE id =";
        self.ask::<u32>(format!("{sql} {id} AND info LIKE '%{part}%'")) == Some(1)
    }

    /// Kills a session and waits until it is gone.
    pub(crate) fn kill(&self, id: u32) {
        self.run(format!("KILL {id}"));
        let sql = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id}");
        eventually("the session is gone", || self.ask::<u64>(&sql) == Some(0));
    }

    pub(crate) fn is_mariadb(&self) -> bool {
        self.ask::<String>("SELECT VERSION()").expect("a version").contains("MariaDB")
    }

    /// Skips the test, because this server lacks its subject.
    pub(crate) fn lacks(&self, what: &str) -> ! {
        skip(format!("this server has not got {what}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let observer = self.observer.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = observer.query_drop(format!("DROP DATABASE {}", self.database));
    }
}

/// Waits until no reset is under way, so that the test sees the state that the next loan finds.
pub(crate) fn settle(pool: &Pool) {
    eventually("the reset is done", || pool.stats().resetting == 0);
}

/// Closes a pool while a long statement runs, and expects that the server is asked to cancel it.
///
/// The pool allows half a second for that, which can be too short on a busy machine: it then aborts the connection, and this retries.
pub(crate) fn close_on_a_long_statement(server: &Server, pool: impl Fn() -> Pool) {
    for _ in 0..10 {
        let pool = pool();
        let mut conn = pool.get().expect("a connection");
        let id = conn.connection_id();
        let holder = thread::spawn(move || drop(conn.query_drop("SELECT SLEEP(120)")));
        eventually("the statement runs", || server.runs(id, "SLEEP"));
        let begin = Instant::now();
        let report = pool.close_within(Duration::from_secs(2));
        holder.join().expect("no panic");
        assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
        eventually("no session is left", || server.sessions() == 0);
        if report.is_clean() && report.aborted.is_empty() && report.cancelled.len() == 1 {
            return;
        }
    }
    panic!("it had to be aborted each time");
}

/// For events that happen at once on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
