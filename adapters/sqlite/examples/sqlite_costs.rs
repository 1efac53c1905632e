//! Measures what the adapter costs: `cargo run --release -p cabrank-sqlite --example sqlite_costs` prints the README's table.

use cabrank_sqlite::cabrank::{Manager, SessionPolicy};
use cabrank_sqlite::rusqlite::hooks::{AuthContext, Authorization};
use cabrank_sqlite::{Pool, SqliteManager, rusqlite};
use std::hint::black_box;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let manager = SqliteManager::file(directory.path().join("costs.db")).create(true);
    let mut conn = manager.open()?;
    conn.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'x')")?;

    measure("opening and closing, another connection open", 2_000, || drop(manager.open()));
    measure("looking at a clean session", 1_000_000, || _ = black_box(manager.session(&mut conn)));
    for number in 0..16 {
        drop(conn.prepare_cached(&format!("SELECT {number} FROM t"))?);
    }
    measure("the same, 16 statements cached", 1_000_000, || _ = black_box(manager.session(&mut conn)));

    let unwatched = rusqlite::Connection::open(directory.path().join("costs.db"))?;
    measure("a prepared query, no pool, unwatched", 200_000, || read(&unwatched));
    measure("a prepared query, no pool, watched", 200_000, || read(&conn));
    measure("a thousand rows inserted, no pool, unwatched", 700, || insert(&unwatched));
    measure("a thousand rows inserted, no pool, watched", 700, || insert(&conn));
    measure("a cached query, no pool", 200_000, || read_cached(&unwatched));
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always, SessionPolicy::Never] {
        let pool = Pool::builder().session_policy(policy).build(manager.clone())?;
        measure(&format!("a loan and a cached query, {policy:?}"), 200_000, || lend(&pool, read_cached));
    }

    let pool = Pool::builder().max_size(1).build(manager.clone())?;
    measure("a loan, a switch, a reset", 20_000, || lend(&pool, |conn| run(conn, "PRAGMA foreign_keys = 0")));
    measure("a loan, a cache size, a reset", 5_000, || lend(&pool, |conn| run(conn, "PRAGMA cache_size = 7")));
    measure("a loan, a temporary table, a reset", 5_000, || lend(&pool, |conn| run(conn, "CREATE TEMP TABLE x (a)")));
    measure("a loan, an authorizer, a reset", 5_000, || {
        let hook = |conn: &mut rusqlite::Connection| conn.authorizer(None::<fn(AuthContext<'_>) -> Authorization>);
        hook(&mut pool.get().expect("a connection")).expect("no authorizer");
    });
    let pool = Pool::builder().max_size(1).check_after(Duration::ZERO).build(manager)?;
    measure("a loan after a check", 5_000, || lend(&pool, |_| ()));
    Ok(())
}

/// Prints the best mean of seven rounds: the cost on an otherwise idle machine.
fn measure(what: &str, times: u32, mut work: impl FnMut()) {
    let mut best = Duration::MAX;
    for _ in 0..7 {
        let began = Instant::now();
        (0..times / 7).for_each(|_| work());
        best = best.min(began.elapsed() / (times / 7));
    }
    println!("{what:48} {:9.3} us", best.as_secs_f64() * 1e6);
}

fn lend(pool: &Pool, work: impl FnOnce(&rusqlite::Connection)) {
    work(&pool.get().expect("a connection"));
}

fn read(conn: &rusqlite::Connection) {
    let found: rusqlite::Result<String> = conn.query_row(QUERY, [1], |row| row.get(0));
    assert!(found.is_ok());
}

fn read_cached(conn: &rusqlite::Connection) {
    let mut statement = conn.prepare_cached(QUERY).expect("a statement");
    let found: rusqlite::Result<String> = statement.query_row([1], |row| row.get(0));
    assert!(found.is_ok());
}

/// Inserts a thousand rows, and rolls back.
fn insert(conn: &rusqlite::Connection) {
    run(conn, "BEGIN");
    let mut statement = conn.prepare_cached("INSERT INTO t (v) VALUES ('abc')").expect("a statement");
    (0..1_000).for_each(|_| assert_eq!(statement.execute([]).expect("a row"), 1));
    drop(statement);
    run(conn, "ROLLBACK");
}

fn run(conn: &rusqlite::Connection, sql: &str) {
    conn.execute_batch(sql).expect(sql);
}

const QUERY: &str = "SELECT v FROM t WHERE id = ?1";
