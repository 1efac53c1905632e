//! `on_checkout` and `on_return` on SQLite sessions: their reads cost nothing, and their changes are undone.

use crate::fixture::Database;
use cabrank_sqlite::cabrank::{CloseReason, Verdict};
use cabrank_sqlite::{Pool, PooledConnection};
use cabrank_testing::harness::alone;
use cabrank_testing::{assert_closes_clean, assert_no_leaks, eventually};

fn a_connection_that_comes_back_in_a_transaction_can_be_closed() {
    let judge = |conn: &mut cabrank_sqlite::Connection, _: &_| {
        if conn.is_autocommit() { Verdict::Keep } else { Verdict::Close }
    };
    let database = Database::new();
    let pool = Pool::builder().max_size(1).on_return(judge).build(database.manager()).unwrap();
    for sql in ["UPDATE account SET money = 7", "BEGIN; COMMIT"] {
        pool.get().unwrap().execute_batch(sql).unwrap();
    }
    drop(pool.get().unwrap());
    let stats = pool.stats();
    assert_eq!((stats.opened, stats.resets_done, stats.resets_skipped), (1, 0, 3), "it only reads");

    pool.get().unwrap().execute_batch("BEGIN").unwrap();
    let conn = pool.get().unwrap();
    assert_eq!((PooledConnection::id(&conn), pool.stats().closed.by(CloseReason::Refused)), (2, 1));
    assert!(conn.is_autocommit());
    drop(conn);
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

fn what_a_hook_changes_does_not_outlive_the_loan() {
    let changes = |conn: &mut cabrank_sqlite::Connection, _: &_| match conn.execute_batch("CREATE TEMP TABLE mark (a)")
    {
        Ok(()) => Verdict::Keep,
        // It would exist already.
        Err(_) => Verdict::Close,
    };
    let database = Database::new();
    for builder in [Pool::builder().on_checkout(changes), Pool::builder().on_return(changes)] {
        let pool = builder.max_size(1).build(database.manager()).unwrap();
        (0..3).for_each(|_| drop(pool.get().unwrap()));
        eventually("each is reset, though its holder did nothing", || pool.stats().resets_done == 3);
        assert_eq!(pool.stats().opened, 1);
        assert_closes_clean(&pool);
    }
}

cabrank_testing::tests! {
    alone:
        a_connection_that_comes_back_in_a_transaction_can_be_closed,
        what_a_hook_changes_does_not_outlive_the_loan,
}
