//! r2d2_mysql on MySQL and MariaDB.

use crate::support;
use crate::support::{SUM, crowd, ends_well, url_of};
use cabrank_testing::eventually;
use cabrank_testing::harness::{Test, path};
use r2d2_mysql::mysql::prelude::*;
use r2d2_mysql::mysql::{Conn, Error, Opts, OptsBuilder, TxOpts};
use r2d2_mysql::{MySqlConnectionManager, r2d2};
use std::sync::Arc;
use std::thread;

/// A test on both servers.
fn on_each(module: &str, name: &str, test: fn(&str)) -> Vec<Test> {
    let on = |kind| Test::new(path([module, &format!("on_{kind}"), name]), move || test(&url_of_one(kind)));
    ["mysql", "mariadb"].map(on).into()
}

/// Turns off what the driver does for a server on this machine: it would ask the server for its socket, which may belong to another
/// server here.
fn url_of_one(kind: &str) -> String {
    let url = url_of(kind);
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}prefer_socket=false")
}

fn manager(url: &str) -> MySqlConnectionManager {
    MySqlConnectionManager::new(OptsBuilder::from_opts(Opts::from_url(url).unwrap()))
}

fn as_its_readme_shows(url: &str) {
    let opts = Opts::from_url(url).unwrap();
    let builder = OptsBuilder::from_opts(opts);
    let manager = MySqlConnectionManager::new(builder);
    let pool = Arc::new(r2d2::Pool::builder().max_size(4).build(manager).unwrap());

    let mut tasks = vec![];

    for _ in 0..3 {
        let pool = pool.clone();
        let th = thread::spawn(move || {
            let mut conn = pool.get().expect("error getting connection from pool");

            let is_empty =
                conn.query("SELECT version()").map(|rows: Vec<String>| rows.is_empty()).expect("error executing query");
            assert!(!is_empty);
        });

        tasks.push(th);
    }

    for th in tasks {
        th.join().unwrap();
    }
    assert_eq!(pool.cabrank().stats().max_size, 4);
    ends_well(&pool);
}

fn a_transaction_commits_or_is_undone(url: &str) {
    let pool = r2d2::Pool::builder().max_size(1).build(manager(url)).unwrap();
    let mut conn = pool.get().unwrap();
    conn.query_drop("CREATE TEMPORARY TABLE r2d2_kept (bar BIGINT)").unwrap();
    for (bar, commit) in [(1, true), (2, false), (4, true)] {
        let mut transaction = conn.start_transaction(TxOpts::default()).unwrap();
        transaction.exec_drop("INSERT INTO r2d2_kept VALUES (?)", (bar,)).unwrap();
        if commit {
            transaction.commit().unwrap();
        }
    }
    assert_eq!(sum(&mut conn, "r2d2_kept"), 5);
    drop(conn);
    ends_well(&pool);
}

fn many_threads_share_few_connections(url: &str) {
    let mut conn = Conn::new(Opts::from_url(url).unwrap()).unwrap();
    conn.query_drop("DROP TABLE IF EXISTS r2d2_crowd").unwrap();
    conn.query_drop("CREATE TABLE r2d2_crowd (bar BIGINT)").unwrap();
    crowd(manager(url), |conn, number| conn.exec_drop("INSERT INTO r2d2_crowd VALUES (?)", (number,)).unwrap());
    assert_eq!(sum(&mut conn, "r2d2_crowd"), SUM);
    conn.query_drop("DROP TABLE r2d2_crowd").unwrap();
}

fn a_time_out_names_the_holder(url: &str) {
    support::a_time_out_names_the_holder(manager(url));
}

fn killed_sessions_are_replaced(url: &str) {
    let id = |conn: &mut Conn| -> Result<i64, Error> { Ok(conn.query_first("SELECT CONNECTION_ID()")?.unwrap()) };
    support::killed_sessions_are_replaced(manager(url), id, |conn, id| {
        conn.query_drop(format!("KILL {id}")).unwrap();
        eventually("it is gone", || {
            let left = "SELECT COUNT(*) FROM information_schema.processlist WHERE id = ?";
            conn.exec_first::<i64, _, _>(left, (id,)).unwrap() == Some(0)
        });
    });
}

fn sum(conn: &mut Conn, table: &str) -> i64 {
    conn.query_first(format!("SELECT CAST(SUM(bar) AS SIGNED) FROM {table}")).unwrap().unwrap()
}

cabrank_testing::tests! {
    on_each:
        as_its_readme_shows,
        a_transaction_commits_or_is_undone,
        many_threads_share_few_connections,
        a_time_out_names_the_holder,
        killed_sessions_are_replaced,
}
