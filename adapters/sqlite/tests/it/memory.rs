//! Memory databases: one for all connections of a manager, alive as long as the manager or a connection is.

use crate::fixture::{create_account, money};
use cabrank_sqlite::rusqlite::ErrorCode;
use cabrank_sqlite::{Pool, SqliteManager, SqlitePools};
use cabrank_testing::harness::alone;
use std::time::Duration;

fn all_connections_share_the_database() {
    let pool = Pool::builder().max_size(2).build(SqliteManager::memory()).unwrap();
    let (a, b) = (pool.get().unwrap(), pool.get().unwrap());
    create_account(&a);
    assert_eq!(money(&b), 0);
}

fn two_managers_have_two_databases() {
    let (one, two) = (SqliteManager::memory().open().unwrap(), SqliteManager::memory().open().unwrap());
    create_account(&one);
    create_account(&two);
    one.execute("UPDATE account SET money = 1", []).unwrap();
    assert_eq!((money(&one), money(&two)), (1, 0));
}

fn the_data_outlives_every_connection_of_the_pool() {
    let pool = Pool::builder().max_size(2).build(SqliteManager::memory()).unwrap();
    create_account(&pool.get().unwrap());
    pool.evict_all();
    assert_eq!(money(&pool.get().unwrap()), 0);
    assert!(pool.stats().opened >= 2, "the connection is a new one");
}

fn the_connection_that_keeps_the_data_is_not_counted() {
    let pool = Pool::builder().max_size(1).build(SqliteManager::memory()).unwrap();
    let _conn = pool.get().unwrap();
    assert_eq!(pool.stats().open, 1);
}

fn the_data_goes_with_the_last_manager_and_connection() {
    let manager = SqliteManager::memory();
    let clone = manager.clone();
    create_account(&manager.open().unwrap());
    drop(manager);
    let last = clone.open().unwrap();
    drop(clone);
    assert_eq!(money(&last), 0);
}

fn a_second_writer_waits_for_the_busy_timeout() {
    let manager = SqliteManager::memory().busy_timeout(Duration::from_millis(30));
    let pool = Pool::builder().max_size(2).build(manager).unwrap();
    let (a, b) = (pool.get().unwrap(), pool.get().unwrap());
    create_account(&a);
    a.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = std::time::Instant::now();
    let error = b.execute_batch("BEGIN IMMEDIATE").unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
    assert!(started.elapsed() >= Duration::from_millis(25), "it waited");
}

fn a_writer_does_not_fail_the_check_of_the_others() {
    let manager = SqliteManager::memory();
    let pool = Pool::builder().max_size(2).check_after(Duration::ZERO).build(manager).unwrap();
    let (a, b) = (pool.get().unwrap(), pool.get().unwrap());
    a.execute_batch("BEGIN EXCLUSIVE").unwrap();
    drop(b);
    drop(pool.get().unwrap());
    assert_eq!(pool.stats().opened, 2, "nothing was replaced");
}

fn a_writer_and_readers_share_a_memory_database_too() {
    let pools = SqlitePools::builder(SqliteManager::memory()).readers(2).build().unwrap();
    create_account(&pools.writer().unwrap());
    assert_eq!(money(&pools.reader().unwrap()), 0);
}

cabrank_testing::tests! {
    alone:
        all_connections_share_the_database,
        two_managers_have_two_databases,
        the_data_outlives_every_connection_of_the_pool,
        the_connection_that_keeps_the_data_is_not_counted,
        the_data_goes_with_the_last_manager_and_connection,
        a_second_writer_waits_for_the_busy_timeout,
        a_writer_does_not_fail_the_check_of_the_others,
        a_writer_and_readers_share_a_memory_database_too,
}
