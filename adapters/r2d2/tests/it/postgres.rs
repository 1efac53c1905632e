//! r2d2_postgres, with and without a cleaner.

use crate::url_of;
use cabrank::{CloseReason, Pool};
use cabrank_r2d2::{R2d2Manager, postgres as clean};
use cabrank_testing::eventually;
use cabrank_testing::harness::alone;
use cabrank_testing::servers::Engine;
use postgres::NoTls;
use r2d2_postgres::PostgresConnectionManager;

type Manager = PostgresConnectionManager<NoTls>;

fn manager() -> Manager {
    PostgresConnectionManager::new(url_of(Engine::Postgres).parse().expect("a url"), NoTls)
}

fn without_a_cleaner_a_session_is_handed_on_as_it_is() {
    let pool = Pool::builder().max_size(1).build(R2d2Manager::new(manager())).unwrap();
    pool.get().unwrap().batch_execute("SET lock_timeout = '7s'; BEGIN").unwrap();
    assert_eq!(setting(&pool, "lock_timeout"), "7s");
}

fn with_one_nothing_of_the_last_holder_is_left() {
    let manager = R2d2Manager::new(manager()).clean(clean::look, clean::reset);
    let pool = Pool::builder().max_size(1).build(manager).unwrap();
    let before = setting(&pool, "lock_timeout");
    let statement = pool.get().unwrap().prepare("SELECT 1").unwrap();
    for soil in [
        "SET lock_timeout = '7s'",
        "BEGIN; SET LOCAL lock_timeout = '7s'",
        "CREATE TEMP TABLE soiled (id INT)",
        "SELECT pg_advisory_lock(4711)",
        "LISTEN soiled",
        "DECLARE soiled CURSOR WITH HOLD FOR SELECT 1",
    ] {
        pool.get().unwrap().batch_execute(soil).unwrap();
        assert_eq!(setting(&pool, "lock_timeout"), before, "{soil}");
        let left = "SELECT (SELECT count(*) FROM pg_class WHERE relname = 'soiled') \
                    + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) \
                    + (SELECT count(*) FROM pg_cursors WHERE name = 'soiled') + (SELECT count(*) FROM pg_listening_channels())";
        assert_eq!(pool.get().unwrap().query_one(left, &[]).unwrap().get::<_, i64>(0), 0, "{soil}");
    }
    // In a failed transaction.
    let mut conn = pool.get().unwrap();
    conn.batch_execute("BEGIN").unwrap();
    conn.batch_execute("SELECT 1 / 0").unwrap_err();
    drop(conn);
    let mut conn = pool.get().unwrap();
    assert_eq!(conn.query_one(&statement, &[]).unwrap().get::<_, i32>(0), 1, "what the driver has prepared is there");
    drop(conn);
    let stats = pool.stats();
    assert_eq!((stats.opened, stats.resets_failed), (1, 0));
}

fn a_session_that_is_ended_is_replaced() {
    let pool = Pool::builder().max_size(2).build(R2d2Manager::new(manager())).unwrap();
    let (mut one, mut other) = (pool.get().unwrap(), pool.get().unwrap());
    let pid: i32 = one.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    other.query_one("SELECT pg_terminate_backend($1)", &[&pid]).unwrap();
    eventually("it is gone", || {
        let left = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1";
        other.query_one(left, &[&pid]).unwrap().get::<_, i64>(0) == 0
    });
    one.batch_execute("SELECT 1").unwrap_err();
    drop((one, other));
    for _ in 0..4 {
        pool.get().unwrap().batch_execute("SELECT 1").unwrap();
    }
    eventually("it is closed", || pool.stats().closed.by(CloseReason::Broken) == 1);
}

fn setting(pool: &Pool<R2d2Manager<Manager>>, name: &str) -> String {
    pool.get().unwrap().query_one(&format!("SHOW {name}"), &[]).unwrap().get(0)
}

cabrank_testing::tests! {
    alone:
        without_a_cleaner_a_session_is_handed_on_as_it_is,
        with_one_nothing_of_the_last_holder_is_left,
        a_session_that_is_ended_is_replaced,
}
