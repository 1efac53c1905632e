//! Prepared statements of MySQL and MariaDB that the server reports as outdated, or for which it has no room. Both tests change settings
//! of the whole server.

use crate::cases::add;
use crate::subject::{Guard, Remote};
use anyhow::Result;
use cabrank::{Fault, Manager, PooledConnection};
use cabrank_mysql::mysql::Error;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::{Connection, MySqlManager, mysql};
use integration_tests::{Case, Database};

pub(crate) fn cases<S: Remote<Manager = MySqlManager>>(cases: &mut Vec<Case>) {
    add!(cases, S, Control, a_full_server_costs_the_statements_that_are_kept_and_no_connection);
}

/// MariaDB updates its statements however small its table cache is.
pub(crate) fn mysql_cases<S: Remote<Manager = MySqlManager>>(cases: &mut Vec<Case>) {
    add!(cases, S, Control, an_outdated_statement_means_retry_and_is_prepared_anew);
}

/// A setting of the server, restored when dropped.
struct Setting<'a> {
    database: &'a Database,
    name: &'static str,
    was: i64,
}

impl<'a> Setting<'a> {
    fn begin(database: &'a Database, name: &'static str) -> Self {
        let was = database.log_in().unwrap().number(&format!("SELECT @@GLOBAL.{name}")).unwrap();
        Self { database, name, was }
    }

    fn set(&self, value: i64) -> Result<()> {
        self.database.log_in()?.execute(&format!("SET GLOBAL {} = {value}", self.name))
    }
}

impl Drop for Setting<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.set(self.was) {
            eprintln!("{} stays as the test has set it: {error:#}", self.name);
        }
    }
}

fn add_up(conn: &mut Connection, number: i64) -> mysql::Result<Option<i64>> {
    conn.exec_first(format!("SELECT {number} + ?"), (1,))
}

fn code(error: &Error) -> u16 {
    let Error::MySqlError(error) = error else { panic!("{error}") };
    error.code
}

fn a_full_server_costs_the_statements_that_are_kept_and_no_connection<S: Remote<Manager = MySqlManager>>() {
    let subject = S::new();
    let (manager, pool) = (subject.manager(), subject.pool(|builder| builder.max_size(1)));
    let mut conn: Guard<S> = pool.get().unwrap();
    let id = PooledConnection::id(&conn);
    let most = Setting::begin(subject.database(), "max_prepared_stmt_count");
    for number in 1..=3 {
        add_up(&mut conn, number).unwrap();
    }
    most.set(3).unwrap();
    for number in 4..=6 {
        assert_eq!(add_up(&mut conn, number).expect("one of the three makes room"), Some(number + 1));
    }
    // The holder has all of them.
    let kept: Vec<_> = (4..=6).map(|number| conn.prep(format!("SELECT {number} + ?")).unwrap()).collect();
    let error = add_up(&mut conn, 7).expect_err("there is no room");
    assert_eq!((code(&error), manager.fault(&error)), (1461, Fault::Capacity));
    for (number, statement) in (4..).zip(&kept) {
        assert_eq!(conn.exec_first(statement, (1,)).unwrap(), Some(number + 1));
    }
    drop(conn);

    let mut conn: Guard<S> = pool.get().unwrap();
    assert_eq!(PooledConnection::id(&conn), id, "the connection works");
    assert_eq!(add_up(&mut conn, 8).unwrap(), Some(9));
    most.set(0).unwrap();
    let error = add_up(&mut conn, 9).expect_err("there is no room at all");
    assert_eq!(code(&error), 1461);
}

/// A statement needs more tables than the server's cache holds, so the first ones are evicted before it ends.
fn an_outdated_statement_means_retry_and_is_prepared_anew<S: Remote<Manager = MySqlManager>>() {
    let subject = S::new();
    let (manager, pool) = (subject.manager(), subject.pool(|builder| builder.max_size(1)));
    let mut conn: Guard<S> = pool.get().unwrap();
    let tables = Tables::make(subject.database());
    let all = (0..TABLES).map(|number| format!("SELECT a + ? FROM t{number}")).collect::<Vec<_>>().join(" UNION ALL ");
    let remembered = Setting::begin(subject.database(), "table_definition_cache");
    remembered.set(FEWEST).unwrap();
    let error = conn.exec_drop(&all, vec![1; TABLES]).expect_err("it is outdated at each execution");
    assert_eq!((code(&error), manager.fault(&error)), (1615, Fault::Retry));
    drop(remembered);
    let closes = |conn: &mut Connection| -> (String, u64) {
        conn.query_first("SHOW SESSION STATUS LIKE 'Com_stmt_close'").unwrap().expect("a number")
    };
    let closed = closes(&mut conn).1;
    conn.exec_drop(&all, vec![1; TABLES]).expect("it is prepared again");
    assert_eq!(closes(&mut conn).1, closed + 1);
    drop(tables);
}

/// Many tables, on a server that trades safety for speed until they are dropped.
struct Tables<'a> {
    database: &'a Database,
    _fast: [Setting<'a>; 2],
}

impl<'a> Tables<'a> {
    fn make(database: &'a Database) -> Self {
        let fast = ["innodb_flush_log_at_trx_commit", "sync_binlog"].map(|name| Setting::begin(database, name));
        fast.iter().for_each(|setting| setting.set(0).unwrap());
        let mut admin = database.log_in().unwrap();
        (0..TABLES).for_each(|number| admin.execute(&format!("CREATE TABLE t{number} (a INT)")).unwrap());
        Self { database, _fast: fast }
    }
}

impl Drop for Tables<'_> {
    fn drop(&mut self) {
        // Remaining tables are dropped with the database.
        if let Ok(mut admin) = self.database.log_in() {
            (0..TABLES).for_each(|number| _ = admin.execute(&format!("DROP TABLE t{number}")));
        }
    }
}

/// The smallest size that the server accepts.
const FEWEST: i64 = 400;
const TABLES: usize = 410;
