//! Transactions: how they begin, and that those that collide run again until none is lost.

use crate::fixture::{Database, create_account, money};
use cabrank_sqlite::cabrank::{BuildError, Cause, Fault, Manager, SessionPolicy, SetUp, Transact, TransactionError};
use cabrank_sqlite::rusqlite;
use cabrank_sqlite::rusqlite::{ErrorCode, Transaction, TransactionState};
use cabrank_sqlite::{Connection, Pool, SqliteManager, TransactionMode};
use cabrank_testing::harness::alone;
use std::error::Error;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, thread};

/// Like a derived `#[error(transparent)]`: it has the text of the driver's error, and hides the error itself.
#[derive(Debug)]
struct Transparent(rusqlite::Error);

impl fmt::Display for Transparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Transparent {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

fn a_conflict_is_seen_through_a_transparent_error() {
    let database = Database::new();
    let other = database.manager().open().unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let pool = Pool::builder().max_size(1).build(database.manager().busy_timeout(Duration::ZERO)).unwrap();
    let mut attempts = 0;
    let outcome = pool.transaction().options(TransactionMode::Deferred).retries(2).run(|tx| {
        attempts += 1;
        earn(tx).map_err(Transparent)
    });
    assert!(outcome.is_err());
    assert_eq!(attempts, 3);
}

/// Reads the money, then writes one more: wrong as soon as two of these overlap undetected.
fn earn(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let before = money_in(tx)?;
    tx.execute("UPDATE account SET money = ?1 WHERE id = 1", [before + 1]).map(drop)
}

fn money_in(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    tx.query_row("SELECT money FROM account WHERE id = 1", [], |row| row.get(0))
}

/// Four threads earn fifty times each. Returns how often the closure ran.
fn earn_together(pool: &Pool, mode: TransactionMode) -> u32 {
    let (attempts, start) = (AtomicU32::new(0), Barrier::new(4));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..50 {
                    let earned = pool.transaction().options(mode).retries(1_000).run(|tx| {
                        attempts.fetch_add(1, Ordering::Relaxed);
                        earn(tx)
                    });
                    earned.expect("a transaction that goes through in the end");
                }
            });
        }
    });
    attempts.into_inner()
}

fn no_deferred_transaction_is_lost() {
    let database = Database::new();
    let pool = database.pool(4);
    let attempts = earn_together(&pool, TransactionMode::Deferred);
    assert_eq!(money(&pool.get().unwrap()), 200);
    assert!(attempts >= 200);
}

fn no_immediate_transaction_is_lost_or_run_twice() {
    let database = Database::new();
    let pool = database.pool(4);
    let attempts = earn_together(&pool, TransactionMode::Immediate);
    assert_eq!(money(&pool.get().unwrap()), 200);
    assert_eq!(attempts, 200, "each waited for the lock before it read");
}

fn no_transaction_is_lost_in_a_memory_database() {
    let pool = Pool::builder().max_size(4).build(SqliteManager::memory()).unwrap();
    create_account(&pool.get().unwrap());
    earn_together(&pool, TransactionMode::Usual);
    assert_eq!(money(&pool.get().unwrap()), 200);
}

fn a_snapshot_that_has_grown_old_is_run_again() {
    let database = Database::new();
    let pool = database.pool(2);
    let mut attempts = 0;
    pool.transaction()
        .options(TransactionMode::Deferred)
        .retries(1)
        .run(|tx| {
            attempts += 1;
            let before = money_in(tx)?;
            if attempts == 1 {
                // Another writer commits between the read and the write.
                pool.get().expect("a second connection").execute("UPDATE account SET money = 10", [])?;
            }
            tx.execute("UPDATE account SET money = ?1", [before + 1]).map(drop)
        })
        .unwrap();
    assert_eq!(attempts, 2);
    assert_eq!(money(&pool.get().unwrap()), 11);
}

fn without_retries_the_stale_snapshot_is_the_callers() {
    let database = Database::new();
    let manager = database.manager();
    let (mut one, two) = (manager.open().unwrap(), manager.open().unwrap());
    let tx = manager.begin(&mut one, &TransactionMode::Deferred).unwrap();
    assert_eq!(money(&tx), 0);
    two.execute("UPDATE account SET money = 10", []).unwrap();
    let error = tx.execute("UPDATE account SET money = 1", []).unwrap_err();
    assert_eq!(error.sqlite_error().unwrap().extended_code, rusqlite::ffi::SQLITE_BUSY_SNAPSHOT);
    assert_eq!(manager.fault(&error), Fault::Retry);
    manager.rollback(tx).unwrap();
    assert_eq!(money(&one), 10);
}

fn the_usual_transaction_takes_the_lock_at_once_where_it_can_write() {
    let database = Database::new();
    for (manager, state) in [
        (database.manager(), TransactionState::Write),
        (database.manager().query_only(true), TransactionState::None),
        (database.manager().read_only(), TransactionState::None),
    ] {
        let mut conn = manager.open().unwrap();
        let tx = manager.begin(&mut conn, &TransactionMode::default()).unwrap();
        assert!(!tx.is_autocommit());
        assert_eq!(tx.transaction_state(Some("main")).unwrap(), state);
    }
}

fn a_transaction_that_sqlite_rolled_back_by_itself_cannot_be_committed() {
    let database = Database::new();
    let manager = database.manager();
    let mut conn = manager.open().unwrap();
    for commit in [true, false] {
        let tx = manager.begin(&mut conn, &TransactionMode::Immediate).unwrap();
        tx.execute("UPDATE account SET money = 9", []).unwrap();
        let error = tx.execute("INSERT OR ROLLBACK INTO account VALUES (1, 0)", []).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::ConstraintViolation));
        assert!(tx.is_autocommit(), "SQLite has rolled back");
        if commit {
            manager.commit(tx).expect_err("nothing to commit");
        } else {
            manager.rollback(tx).expect("nothing left to roll back");
        }
        assert_eq!(money(&conn), 0);
    }
}

fn an_error_of_the_closure_rolls_back_and_comes_back() {
    let database = Database::new();
    let pool = database.pool(1);
    let mut attempts = 0;
    let error = pool
        .transaction()
        .retries(5)
        .run(|tx| -> rusqlite::Result<()> {
            attempts += 1;
            earn(tx)?;
            tx.execute("INSERT INTO account VALUES (1, 0)", []).map(drop)
        })
        .unwrap_err();
    assert!(error.to_string().contains("UNIQUE") || format!("{error:?}").contains("UNIQUE"), "{error}");
    assert_eq!(attempts, 1, "a constraint is no reason to try again");
    assert_eq!(money(&pool.get().unwrap()), 0);
}

fn a_transaction_that_is_left_open_by_the_set_up_is_refused_at_once() {
    let database = Database::new();
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always, SessionPolicy::Never] {
        let settings = || Pool::builder().max_size(1).session_policy(policy);
        for begin in ["BEGIN", "BEGIN IMMEDIATE; UPDATE account SET money = 7", "SAVEPOINT here"] {
            let began = Instant::now();
            let hook = move |conn: &mut Connection, _: &SetUp<'_>| conn.execute_batch(begin);
            let outcome = settings().on_open(hook).build(database.manager());
            assert!(
                matches!(outcome, Err(BuildError::Connect(Cause::InTransaction))),
                "{policy:?} {begin}: {outcome:?}"
            );
            // A temporary error would be retried for ten seconds.
            assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        }
        let commits = |conn: &mut Connection, _: &SetUp<'_>| {
            conn.execute_batch("BEGIN; UPDATE account SET money = money; COMMIT")
        };
        let pool = settings().on_open(commits).build(database.manager()).unwrap();
        pool.transaction().run(|tx| earn(tx)).unwrap();
    }
    assert_eq!(money(&database.manager().open().unwrap()), 3);
}

fn a_transaction_never_begins_inside_one_that_is_open() {
    let database = Database::new();
    let pool = Pool::builder().max_size(1).session_policy(SessionPolicy::Never).build(database.manager()).unwrap();
    pool.get().unwrap().execute_batch("BEGIN; UPDATE account SET money = 100").unwrap();
    let outcome = pool.transaction().run(|tx| earn(tx));
    assert!(matches!(outcome, Err(TransactionError::InTransaction)), "{outcome:?}");
    pool.transaction().run(|tx| earn(tx)).unwrap();
    assert_eq!(money(&database.manager().open().unwrap()), 1, "what was left open is not committed");
}

cabrank_testing::tests! {
    alone:
        a_transaction_that_is_left_open_by_the_set_up_is_refused_at_once,
        a_transaction_never_begins_inside_one_that_is_open,
        no_deferred_transaction_is_lost,
        no_immediate_transaction_is_lost_or_run_twice,
        no_transaction_is_lost_in_a_memory_database,
        a_conflict_is_seen_through_a_transparent_error,
        a_snapshot_that_has_grown_old_is_run_again,
        without_retries_the_stale_snapshot_is_the_callers,
        the_usual_transaction_takes_the_lock_at_once_where_it_can_write,
        a_transaction_that_sqlite_rolled_back_by_itself_cannot_be_committed,
        an_error_of_the_closure_rolls_back_and_comes_back,
}
