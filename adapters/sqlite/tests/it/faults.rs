//! Injected failures that SQLite's own calls do not show: the pool goes on, and each session is closed.

use crate::fixture::{Database, money};
use cabrank_sqlite::cabrank::{CloseReason, Pool};
use cabrank_sqlite::{SqliteManager, rusqlite};
use cabrank_testing::harness::alone;
use cabrank_testing::{Faults, Faulty, Injection, Method, assert_closes_clean, assert_no_leaks};
use std::time::Duration;

/// A pool of one that checks its connection before each loan.
fn pool(database: &Database) -> (Pool<Faulty<SqliteManager>>, Faults<rusqlite::Error>) {
    let (manager, faults) = Faulty::wrap(database.manager());
    let builder = Pool::builder().max_size(1).check_after(Duration::ZERO).acquire_timeout(Duration::from_secs(20));
    (builder.check_timeout(Duration::from_millis(100)).build_lazy(manager).expect("a pool"), faults)
}

/// Asserts that nothing is lost, and that the last session has removed its log.
fn ends(database: &Database, pool: &Pool<Faulty<SqliteManager>>) {
    assert_no_leaks(pool);
    assert_closes_clean(pool);
    let left: Vec<_> = database.directory.path().read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["test.db"]);
}

fn a_reset_that_fails_ends_the_session_and_its_transaction() {
    let database = Database::new();
    let (pool, faults) = pool(&database);
    faults.next(Method::Reset, Injection::Fail(rusqlite::Error::InvalidQuery));
    pool.get().unwrap().execute_batch("BEGIN IMMEDIATE; UPDATE account SET money = 9").unwrap();
    let conn = pool.get().unwrap();
    assert_eq!(money(&conn), 0);
    conn.execute_batch("BEGIN IMMEDIATE; ROLLBACK").expect("nobody holds the lock");
    drop(conn);
    assert_eq!(pool.stats().closed.by(CloseReason::ResetFailed), 1);
    ends(&database, &pool);
}

fn a_check_that_hangs_costs_its_connection_and_no_slot() {
    let database = Database::new();
    let (pool, faults) = pool(&database);
    drop(pool.get().unwrap());
    faults.next(Method::IsValid, Injection::Hang);
    assert_eq!(money(&pool.get().unwrap()), 0);
    // On a busy machine the pool may also give up on a check that does not hang.
    assert!(pool.stats().closed.by(CloseReason::Overran) >= 1);
    ends(&database, &pool);
}

fn a_connect_that_panics_is_tried_again() {
    let database = Database::new();
    let (pool, faults) = pool(&database);
    faults.next(Method::Connect, Injection::Panic);
    assert_eq!(money(&pool.get().unwrap()), 0);
    assert_eq!((faults.count(Method::Connect), pool.stats().open_failures), (2, 1));
    ends(&database, &pool);
}

cabrank_testing::tests! {
    alone:
        a_reset_that_fails_ends_the_session_and_its_transaction,
        a_check_that_hangs_costs_its_connection_and_no_slot,
        a_connect_that_panics_is_tried_again,
}
