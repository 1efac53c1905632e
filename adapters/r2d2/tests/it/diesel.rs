//! Diesel's connections: transactions that its transaction manager shows are rolled back.

use crate::url_of;
use cabrank::{CloseReason, Pool};
use cabrank_r2d2::{R2d2Manager, diesel as clean};
use cabrank_testing::harness::alone;
use cabrank_testing::servers::Engine;
use diesel::connection::TransactionManager;
use diesel::r2d2::{ConnectionManager, R2D2Connection};
use diesel::{MysqlConnection, PgConnection, SqliteConnection};

fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cabrank.db");
    on::<SqliteConnection>(path.to_str().unwrap());
}

fn on_postgres() {
    on::<PgConnection>(&url_of(Engine::Postgres));
}

fn on_mysql() {
    on::<MysqlConnection>(&url_of(Engine::Mysql));
}

fn on_mariadb() {
    on::<MysqlConnection>(&url_of(Engine::Mariadb));
}

fn on<C>(url: &str)
where
    C: R2D2Connection + Send + 'static,
{
    what_is_left_open_is_rolled_back::<C>(url);
    a_pool_for_tests_commits_nothing::<C>(url);
}

type Managed<C> = Pool<R2d2Manager<ConnectionManager<C>>>;

fn what_is_left_open_is_rolled_back<C: R2D2Connection + Send + 'static>(url: &str) {
    let manager = R2d2Manager::new(ConnectionManager::<C>::new(url)).clean(clean::look, clean::roll_back);
    let pool: Managed<C> = Pool::builder().max_size(1).build(manager).unwrap();
    let mut conn = pool.get().unwrap();
    conn.batch_execute("DROP TABLE IF EXISTS cabrank_diesel").unwrap();
    conn.batch_execute("CREATE TABLE cabrank_diesel (id INTEGER PRIMARY KEY)").unwrap();
    drop(conn);
    for depth in 1..=3 {
        let mut conn = pool.get().unwrap();
        for id in 0..depth {
            C::TransactionManager::begin_transaction(&mut *conn).unwrap();
            conn.batch_execute(&format!("INSERT INTO cabrank_diesel VALUES ({id})")).unwrap();
        }
        drop(conn);
        // Each would exist already.
        let mut conn = pool.get().unwrap();
        conn.batch_execute("INSERT INTO cabrank_diesel VALUES (0)").unwrap();
        conn.batch_execute("DELETE FROM cabrank_diesel").unwrap();
    }
    // A failed transaction.
    let mut conn = pool.get().unwrap();
    C::TransactionManager::begin_transaction(&mut *conn).unwrap();
    conn.batch_execute("SELECT nonsense FROM nowhere").unwrap_err();
    drop(conn);
    pool.get().unwrap().batch_execute("INSERT INTO cabrank_diesel VALUES (1)").unwrap();
    // Correct use of Diesel's transactions costs nothing.
    let resets = pool.stats().resets_done;
    pool.get().unwrap().transaction(|conn| conn.batch_execute("INSERT INTO cabrank_diesel VALUES (2)")).unwrap();
    let stats = pool.stats();
    assert_eq!((stats.opened, stats.resets_done, resets, stats.resets_failed), (1, 4, 4, 0));
    assert_eq!(stats.closed.by(CloseReason::Broken), 0);
    pool.get().unwrap().batch_execute("DROP TABLE cabrank_diesel").unwrap();
}

fn a_pool_for_tests_commits_nothing<C: R2D2Connection + Send + 'static>(url: &str) {
    let plain: Managed<C> = Pool::builder().build(R2d2Manager::new(ConnectionManager::new(url))).unwrap();
    plain.get().unwrap().batch_execute("DROP TABLE IF EXISTS cabrank_test_pool").unwrap();
    plain.get().unwrap().batch_execute("CREATE TABLE cabrank_test_pool (id INTEGER PRIMARY KEY)").unwrap();

    let pool: Managed<C> = clean::test_pool(url).unwrap();
    pool.get().unwrap().batch_execute("INSERT INTO cabrank_test_pool VALUES (1)").unwrap();
    let seen = pool.get().unwrap().batch_execute("INSERT INTO cabrank_test_pool VALUES (1)");
    assert!(seen.is_err(), "one loan sees what the last has written");
    assert_eq!((pool.stats().opened, pool.stats().resets_done), (1, 0));
    drop(pool);
    cabrank_testing::eventually("it was rolled back", || {
        plain.get().unwrap().batch_execute("DROP TABLE cabrank_test_pool").is_ok()
    });
}

cabrank_testing::tests! {
    alone:
        on_sqlite,
        on_postgres,
        on_mysql,
        on_mariadb,
}
