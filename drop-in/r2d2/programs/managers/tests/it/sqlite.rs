//! r2d2_sqlite on a file.

use crate::support;
use crate::support::{SUM, crowd, ends_well, skip_unless_chosen};
use cabrank_testing::harness::alone;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, params};
use std::thread;
use tempfile::TempDir;

/// A database for one test, which exists as long as the folder.
fn database() -> (TempDir, SqliteConnectionManager) {
    skip_unless_chosen("sqlite");
    let folder = tempfile::tempdir().unwrap();
    let manager = SqliteConnectionManager::file(folder.path().join("file.db"))
        .with_init(|conn| conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 60000"));
    (folder, manager)
}

/// As in the crate's docs, because its README has no example.
fn as_its_docs_show() {
    let (_folder, manager) = database();
    let pool = r2d2::Pool::new(manager).unwrap();
    pool.get().unwrap().execute("CREATE TABLE IF NOT EXISTS foo (bar INTEGER)", params![]).unwrap();

    (0..10)
        .map(|i| {
            let pool = pool.clone();
            thread::spawn(move || {
                let conn = pool.get().unwrap();
                conn.execute("INSERT INTO foo (bar) VALUES (?)", [&i]).unwrap();
            })
        })
        .collect::<Vec<_>>()
        .into_iter()
        .map(thread::JoinHandle::join)
        .collect::<Result<Vec<()>, _>>()
        .unwrap();
    assert_eq!(sum(&pool.get().unwrap()), 45);
    assert_eq!(pool.cabrank().stats().max_size, 10, "r2d2's default");
    ends_well(&pool);
}

fn a_transaction_commits_or_is_undone() {
    let (_folder, manager) = database();
    let pool = r2d2::Pool::builder().max_size(1).build(manager).unwrap();
    let mut conn = pool.get().unwrap();
    conn.execute("CREATE TABLE foo (bar INTEGER)", []).unwrap();
    for (bar, commit) in [(1, true), (2, false), (4, true)] {
        let transaction = conn.transaction().unwrap();
        transaction.execute("INSERT INTO foo VALUES (?)", [bar]).unwrap();
        if commit {
            transaction.commit().unwrap();
        }
    }
    assert_eq!(sum(&conn), 5);
    drop(conn);
    ends_well(&pool);
}

fn many_threads_share_few_connections() {
    let (folder, manager) = database();
    let conn = Connection::open(folder.path().join("file.db")).unwrap();
    conn.execute("CREATE TABLE foo (bar INTEGER)", []).unwrap();
    crowd(manager, |conn, number| {
        conn.execute("INSERT INTO foo VALUES (?)", [number]).unwrap();
    });
    assert_eq!(sum(&conn), SUM);
}

fn a_time_out_names_the_holder() {
    let (_folder, manager) = database();
    support::a_time_out_names_the_holder(manager);
}

fn sum(conn: &Connection) -> i64 {
    conn.query_row("SELECT sum(bar) FROM foo", [], |row| row.get(0)).unwrap()
}

cabrank_testing::tests! {
    alone:
        as_its_docs_show,
        a_transaction_commits_or_is_undone,
        many_threads_share_few_connections,
        a_time_out_names_the_holder,
}
