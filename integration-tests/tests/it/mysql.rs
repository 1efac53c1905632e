//! MySQL and MariaDB with `cabrank-mysql`.

use crate::subject::{Remote, Subject};
use crate::watch::Watch;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{Opts, OptsBuilder, TxOpts};
use cabrank_mysql::{Connection, MySqlManager, Transaction, mysql};
use integration_tests::{Database, Engine, Server};
use std::time::Duration;
use url::Url;

/// One of the two, whose adapter and statements are the same.
pub(crate) struct Kin<const MARIADB: bool> {
    watch: Watch,
    // Dropped after the watch.
    database: Database,
}

pub(crate) type MySql = Kin<false>;
pub(crate) type MariaDb = Kin<true>;

impl<const MARIADB: bool> Subject for Kin<MARIADB> {
    const ENGINE: Engine = if MARIADB { Engine::Mariadb } else { Engine::Mysql };

    const DIRT: &'static [(&'static str, &'static str)] = &[
        ("SET @left_over = 7", "SELECT ifnull(@left_over, 0)"),
        ("SELECT 7 INTO @left_over", "SELECT ifnull(@left_over, 0)"),
        ("SET SESSION lock_wait_timeout = 7", "SELECT @@lock_wait_timeout"),
        ("SET SESSION sql_mode = ''", "SELECT @@sql_mode = ''"),
        ("SET autocommit = 0", "SELECT @@autocommit"),
        ("SET SESSION TRANSACTION READ ONLY", READ_ONLY),
        ("SET NAMES latin1", "SELECT @@character_set_client = 'latin1'"),
        ("USE information_schema", "SELECT database() = 'information_schema'"),
        ("SELECT GET_LOCK(concat('left_over', connection_id()), 0)", LOCK),
        ("SELECT soil()", "SELECT ifnull(@left_over, 0)"),
        ("INSERT INTO numbered (x) VALUES (7)", "SELECT LAST_INSERT_ID() <> 0"),
        // Hides the table with that name.
        ("CREATE TEMPORARY TABLE account (x INT)", "SELECT count(*) FROM account"),
    ];

    // As part of a larger query an interrupted sleep is an error; alone it would only return 1.
    const ENDLESS: &'static str = "SELECT id FROM account WHERE sleep(60) = 0";

    type Manager = MySqlManager;

    fn new() -> Self {
        let database = Database::new(Server::of(Self::ENGINE).expect("it was there a moment ago")).expect("a database");
        let mut conn = mysql::Conn::new(opts(&database.url())).expect("a login");
        conn.query_drop("CREATE TABLE account (id INT PRIMARY KEY, money BIGINT NOT NULL) ENGINE=InnoDB")
            .expect("a table");
        conn.query_drop("INSERT INTO account VALUES (1, 0)").expect("a row");
        conn.query_drop("CREATE TABLE numbered (id INT AUTO_INCREMENT PRIMARY KEY, x INT)").expect("a table");
        conn.query_drop("CREATE FUNCTION soil() RETURNS INT DETERMINISTIC BEGIN SET @left_over = 7; RETURN 1; END")
            .expect("a function");
        drop(conn);
        Self { watch: Watch::new(&database), database }
    }

    fn manager(&self) -> MySqlManager {
        MySqlManager::new(opts(&self.database.url()))
    }

    fn execute(conn: &mut Connection, sql: &str) -> mysql::Result<()> {
        conn.query_drop(sql)
    }

    fn number(conn: &mut Connection, sql: &str) -> mysql::Result<i64> {
        Ok(conn.query_first(sql)?.unwrap_or_else(|| panic!("{sql}: no row")))
    }

    fn execute_in(transaction: &mut Transaction<'_>, sql: &str) -> mysql::Result<()> {
        transaction.query_drop(sql)
    }

    fn number_in(transaction: &mut Transaction<'_>, sql: &str) -> mysql::Result<i64> {
        Ok(transaction.query_first(sql)?.unwrap_or_else(|| panic!("{sql}: no row")))
    }

    fn serializable() -> TxOpts {
        TxOpts::default().set_isolation_level(Some(mysql::IsolationLevel::Serializable))
    }

    fn watch(&self) -> Option<&Watch> {
        Some(&self.watch)
    }

    fn sessions(&self) -> usize {
        self.database.sessions().expect("a server that is there").len()
    }
}

impl<const MARIADB: bool> Remote for Kin<MARIADB> {
    const WHO: &'static str = "SELECT connection_id()";
    const SOME_SECONDS: &'static str = "SELECT 7 + sleep(3)";
    const IDLE_LIMIT: &'static str = "SET wait_timeout = 2";

    fn database(&self) -> &Database {
        &self.database
    }

    fn manager_asking(url: impl Fn() -> Url + Send + Sync + 'static) -> MySqlManager {
        MySqlManager::with_config(move || Ok(opts(&url())))
    }

    fn hasty_manager(url: Url) -> MySqlManager {
        MySqlManager::new(OptsBuilder::from_opts(opts(&url)).read_timeout(Some(Duration::from_millis(50))))
    }

    /// The driver gives up before the answer arrives; two of the three ways show that only to the borrower.
    fn walk_away(conn: &mut Connection, number: i64) {
        let question = format!("SELECT {number} + sleep(0.08)");
        match number % 3 {
            0 => drop(conn.query_drop(question)),
            -1 => drop(conn.query_iter(question).map(|mut rows| rows.next().map(drop))),
            _ => drop(conn.raw().query_drop(question)),
        }
    }
}

fn opts(url: &Url) -> Opts {
    OptsBuilder::from_opts(Opts::from_url(url.as_str()).expect("a URL that the driver understands"))
        // Otherwise the driver would ask a server on this machine for its socket, which belongs to another server.
        .prefer_socket(false)
        .into()
}

const LOCK: &str = "SELECT IS_USED_LOCK(concat('left_over', connection_id())) IS NOT NULL";
// Each server has its own name for this variable.
const READ_ONLY: &str = "SELECT 0 /*!80000 + @@transaction_read_only */ /*M!100000 + @@tx_read_only */";
