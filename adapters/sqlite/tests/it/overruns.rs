//! Calls that take too long are interrupted.

use crate::fixture::{Database, money};
use cabrank_sqlite::cabrank::SessionPolicy;
use cabrank_sqlite::rusqlite;
use cabrank_sqlite::rusqlite::ErrorCode;
use cabrank_sqlite::{Connection, InterruptHandle, Pool, PooledConnection, SqliteManager};
use cabrank_testing::harness::alone;
use cabrank_testing::{assert_closes_clean, assert_no_leaks};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Counts until it is interrupted.
pub(crate) const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
/// Takes some milliseconds, in which late interrupts could hit it.
const LONG: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT count(*) FROM n";

fn count_for_ever(conn: &rusqlite::Connection) -> rusqlite::Result<()> {
    conn.query_row(ENDLESS, [], |_| Ok(()))
}

fn an_opening_that_never_ends_is_interrupted_and_tried_again() {
    let database = Database::new();
    let hang = AtomicBool::new(true);
    let manager = database.manager().with_init(move |conn| match hang.swap(false, Ordering::Relaxed) {
        true => count_for_ever(conn),
        false => Ok(()),
    });
    let pool = Pool::builder().max_size(1).connect_timeout(Duration::from_millis(50)).build_lazy(manager).unwrap();
    assert_eq!(money(&pool.get().expect("the second attempt succeeds")), 0);
    assert_eq!((pool.stats().open_failures, pool.stats().opened), (1, 1));
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

fn closing_interrupts_what_a_holder_still_runs() {
    let pool = Pool::builder().max_size(1).build(SqliteManager::memory()).unwrap();
    let (running, is_running) = mpsc::channel();
    let holder = thread::spawn({
        let pool = pool.clone();
        move || {
            let tell = move || {
                let _ = running.send(());
                false
            };
            let count = |conn: &mut Connection| {
                conn.progress_handler(1_000, Some(tell)).expect("a hook");
                count_for_ever(conn)
            };
            count(&mut pool.get().expect("a connection"))
        }
    });
    is_running.recv().expect("the statement runs");
    pool.close_within(Duration::from_millis(200));
    let error = holder.join().expect("no panic").expect_err("an interrupted statement");
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::OperationInterrupted));
    assert_closes_clean(&pool);
}

/// Interrupts repeatedly from another thread while `work` runs.
fn while_interrupting<T>(handle: &InterruptHandle, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                handle.interrupt();
            }
        });
        let value = work();
        done.store(true, Ordering::Relaxed);
        value
    })
}

fn assert_interrupted(outcome: rusqlite::Result<()>) {
    let error = outcome.expect_err("an interrupted statement");
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::OperationInterrupted));
}

fn count_long(conn: &rusqlite::Connection) -> rusqlite::Result<i64> {
    conn.query_row(LONG, [], |row| row.get(0))
}

/// The driver's own handle would interrupt the next holder.
fn an_interrupt_handle_interrupts_its_own_loan_and_not_the_next() {
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always, SessionPolicy::Never] {
        let pool = Pool::builder().max_size(1).session_policy(policy).build(SqliteManager::memory()).unwrap();
        let conn = pool.get().unwrap();
        let (id, handle) = (PooledConnection::id(&conn), conn.get_interrupt_handle());
        let (own, next, count) = while_interrupting(&handle, || {
            let own = count_for_ever(&conn);
            drop(conn);
            let next = pool.get().unwrap();
            (own, PooledConnection::id(&next), count_long(&next))
        });
        assert_interrupted(own);
        assert_eq!(next, id);
        assert_eq!(count.expect("the next holder is not interrupted"), 300_000, "{policy:?}");
        assert_closes_clean(&pool);
    }
}

fn an_interrupt_handle_of_a_transaction_ends_with_the_loan() {
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always, SessionPolicy::Never] {
        let pool = Pool::builder().max_size(1).session_policy(policy).build(SqliteManager::memory()).unwrap();
        let (mut outer, mut nested) = (None, None);
        pool.transaction()
            .run(|tx| -> rusqlite::Result<()> {
                let handle = tx.get_interrupt_handle();
                assert_interrupted(while_interrupting(&handle, || count_for_ever(tx)));
                outer = Some(handle);
                tx.nested(|tx| {
                    nested = Some(tx.get_interrupt_handle());
                    Ok(())
                })
            })
            .expect("a transaction that only reads goes on after an interrupt");
        for handle in [outer, nested].map(|handle| handle.expect("taken")) {
            let count = while_interrupting(&handle, || count_long(&pool.get().unwrap()));
            assert_eq!(count.expect("the next holder is not interrupted"), 300_000, "{policy:?}");
        }
        assert_eq!(pool.stats().opened, 1, "{policy:?}");
        assert_closes_clean(&pool);
    }
}

cabrank_testing::tests! {
    alone:
        an_opening_that_never_ends_is_interrupted_and_tried_again,
        closing_interrupts_what_a_holder_still_runs,
        an_interrupt_handle_interrupts_its_own_loan_and_not_the_next,
        an_interrupt_handle_of_a_transaction_ends_with_the_loan,
}
