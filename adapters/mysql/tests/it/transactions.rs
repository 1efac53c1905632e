//! Transactions: those that collide run again until none is lost, and nothing is committed in part.

use crate::server::{Server, on_each_server};
use cabrank_mysql::cabrank::{BuildError, Cause, CloseReason, SessionPolicy, SetUp, TransactionError};
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{AccessMode, Error, IsolationLevel, Result, TxOpts};
use cabrank_mysql::{Connection, MySqlManager, Transaction};
use cabrank_testing::{NetworkFault, Way};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn serializable() -> TxOpts {
    TxOpts::default().set_isolation_level(Some(IsolationLevel::Serializable))
}

/// Reads the money, then writes one more: wrong as soon as two of these overlap undetected.
fn earn(tx: &mut Transaction<'_>) -> Result<()> {
    let before: i64 = tx.query_first("SELECT money FROM account WHERE id = 1")?.expect("an account");
    tx.exec_drop("UPDATE account SET money = ? WHERE id = 1", (before + 1,))
}

fn no_serializable_transaction_is_lost(server: &Server) {
    let pool = server.pool(4);
    let (attempts, start) = (AtomicU32::new(0), Barrier::new(4));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..50 {
                    let earned = pool.transaction().options(serializable()).retries(1_000).run(|tx| {
                        attempts.fetch_add(1, Ordering::Relaxed);
                        earn(tx)
                    });
                    earned.expect("a transaction that goes through in the end");
                }
            });
        }
    });
    assert_eq!(server.money(1), 200);
    assert!(attempts.into_inner() >= 200);
    // Unless a reset takes longer than its five seconds, on a very busy machine.
    let closed = pool.stats().closed;
    assert_eq!(closed.total(), closed.by(CloseReason::Overran), "{closed:?}");
}

/// Makes a transaction on a pool the victim of a deadlock, once; `then` decides what its closure does with the error.
fn meet_deadlock(
    server: &Server,
    then: impl Fn(&mut Transaction<'_>, Error) -> Result<()>,
) -> (u32, std::result::Result<(), TransactionError<Error, Error>>) {
    let pool = server.pool(1);
    let mut attempts = 0;
    let outcome = pool.transaction().retries(3).run(|tx| {
        attempts += 1;
        tx.query_drop("UPDATE account SET money = money + 1 WHERE id = 1")?;
        if attempts > 1 {
            return tx.query_drop("UPDATE account SET money = money + 1 WHERE id = 2");
        }
        let mut rival = server.aside();
        // It has changed more rows, so the server spares it, whichever of the two completes the cycle.
        rival.query_drop("START TRANSACTION; UPDATE account SET money = money + 10 WHERE id > 1").unwrap();
        thread::scope(|scope| {
            let rival = scope.spawn(move || {
                rival.query_drop("UPDATE account SET money = money + 10 WHERE id = 1").expect("spared");
                rival.query_drop("COMMIT").unwrap();
            });
            let outcome = match tx.query_drop("UPDATE account SET money = money + 1 WHERE id = 2") {
                Err(error) => then(tx, error),
                Ok(()) => panic!("no deadlock"),
            };
            rival.join().unwrap();
            outcome
        })
    });
    (attempts, outcome)
}

fn a_deadlock_is_run_again(server: &Server) {
    let (attempts, outcome) = meet_deadlock(server, |_, error| Err(error));
    outcome.expect("the second attempt goes through");
    assert_eq!(attempts, 2);
    assert_eq!((server.money(1), server.money(2)), (11, 11));
}

fn a_deadlock_that_was_passed_over_commits_nothing_by_halves(server: &Server) {
    let (attempts, outcome) = meet_deadlock(server, |tx, _| {
        let error = tx.query_drop("UPDATE account SET money = 1000 WHERE id = 3").unwrap_err();
        assert!(matches!(error, Error::MySqlError(error) if error.code == 1213), "would be committed at once");
        Ok(())
    });
    outcome.expect("the commit fails with the deadlock, and the second attempt goes through");
    assert_eq!(attempts, 2);
    assert_eq!((server.money(1), server.money(2), server.money(3)), (11, 11, 10));
}

fn a_lock_wait_that_timed_out_is_rolled_back_and_run_again(server: &Server) {
    let pool = server.pool(1);
    let mut rival = server.aside();
    rival.query_drop("START TRANSACTION; UPDATE account SET money = 5 WHERE id = 2").unwrap();
    let mut attempts = 0;
    pool.transaction()
        .retries(1)
        .run(|tx| {
            attempts += 1;
            tx.query_drop("SET SESSION innodb_lock_wait_timeout = 1")?;
            tx.query_drop("UPDATE account SET money = money + 1 WHERE id = 1")?;
            let outcome = tx.query_drop("UPDATE account SET money = money + 1 WHERE id = 2");
            if let Err(Error::MySqlError(error)) = &outcome {
                assert_eq!(error.code, 1205);
                if server.ask("SELECT @@innodb_rollback_on_timeout") == Some(false) {
                    let still: Option<i64> = tx.query_first("SELECT money FROM account WHERE id = 1")?;
                    assert_eq!(still, Some(1), "the server leaves the transaction open");
                }
                rival.query_drop("COMMIT").unwrap();
            }
            outcome
        })
        .unwrap();
    assert_eq!(attempts, 2);
    assert_eq!((server.money(1), server.money(2)), (1, 6));
    assert_eq!(pool.stats().opened, 1);
}

fn without_retries_a_lock_wait_that_timed_out_leaves_nothing(server: &Server) {
    let pool = server.pool(1);
    let mut rival = server.aside();
    rival.query_drop("START TRANSACTION; UPDATE account SET money = 5 WHERE id = 2").unwrap();
    let error = pool
        .transaction()
        .run(|tx| {
            tx.query_drop("SET SESSION innodb_lock_wait_timeout = 1")?;
            tx.query_drop("UPDATE account SET money = 7 WHERE id = 1")?;
            tx.query_drop("UPDATE account SET money = 7 WHERE id = 2")
        })
        .unwrap_err();
    assert!(
        matches!(&error, TransactionError::User(error) if matches!(&**error, Error::MySqlError(error) if error.code == 1205))
    );
    assert_eq!(server.money(1), 0);
}

fn an_error_of_the_closure_rolls_back(server: &Server) {
    let pool = server.pool(1);
    let mut attempts = 0;
    let error = pool
        .transaction()
        .retries(5)
        .run(|tx| {
            attempts += 1;
            earn(tx)?;
            tx.query_drop("INSERT INTO account VALUES (1, 0)")
        })
        .unwrap_err();
    assert!(
        matches!(&error, TransactionError::User(error) if matches!(&**error, Error::MySqlError(error) if error.code == 1062))
    );
    assert_eq!(attempts, 1, "a constraint is no reason to try again");
    assert_eq!(server.money(1), 0);
}

fn a_wrong_number_of_parameters_costs_no_connection(server: &Server) {
    let pool = server.pool(1);
    let error = pool.transaction().run(|tx| tx.exec_drop("UPDATE account SET money = ?", (1, 2))).unwrap_err();
    assert!(matches!(error, TransactionError::User(_)), "{error:?}");
    assert_eq!(pool.get().unwrap().query_first("SELECT money FROM account").unwrap(), Some(0));
    assert_eq!(pool.stats().opened, 1);
}

fn options_are_the_drivers(server: &Server) {
    let pool = server.pool(1);
    let options = TxOpts::default().set_with_consistent_snapshot(true).set_access_mode(Some(AccessMode::ReadOnly));
    let options = options.set_isolation_level(Some(IsolationLevel::RepeatableRead));
    let money = pool.transaction().options(options).run(|tx| {
        server.run(format!("UPDATE {}.account SET money = 9", server.database));
        let read_only = tx.query_drop("UPDATE account SET money = 7").unwrap_err();
        assert!(matches!(read_only, Error::MySqlError(error) if error.code == 1792));
        Ok::<_, Error>(tx.query_first("SELECT money FROM account WHERE id = 1")?.unwrap_or(-1))
    });
    assert_eq!(money.unwrap(), 0, "as it was when the transaction began");
}

fn a_snapshot_on_a_dead_connection_is_an_error_and_no_panic(server: &Server) {
    let mut conn = server.manager().open().unwrap();
    server.kill(conn.connection_id());
    let options = TxOpts::default().set_with_consistent_snapshot(true);
    conn.start_transaction(options).map(drop).unwrap_err();
    assert!(conn.is_broken());
}

fn a_dropped_transaction_is_rolled_back(server: &Server) {
    let mut conn = server.manager().open().unwrap();
    let mut tx = conn.start_transaction(TxOpts::default()).unwrap();
    tx.query_drop("INSERT INTO account VALUES (99, 7)").unwrap();
    assert_eq!(tx.affected_rows(), 1);
    drop(tx);
    let mut tx = conn.start_transaction(TxOpts::default()).unwrap();
    tx.query_drop("UPDATE account SET money = 2 WHERE id = 2").unwrap();
    tx.commit().unwrap();
    assert_eq!(conn.query_first("SELECT COUNT(*) FROM account").unwrap(), Some(50));
    assert_eq!(server.money(2), 2);
}

fn a_commit_whose_connection_is_aborted_is_unknown_and_not_tried_again(server: &Server) {
    if server.opts.get_socket().is_some() {
        server.lacks("an address to stand before");
    }
    let proxy = server.proxy();
    let pool = server.builder(1).build(MySqlManager::new(server.through(&proxy))).unwrap();
    proxy.set(NetworkFault::CloseAt(Way::ToServer, b"COMMIT"));
    let mut attempts = 0;
    let error = pool
        .transaction()
        .retries(5)
        .run(|tx| {
            attempts += 1;
            earn(tx)
        })
        .unwrap_err();
    assert!(matches!(error, TransactionError::Unknown(_)), "{error:?}");
    assert_eq!(attempts, 1);
}

/// The driver's error is found within any error that a closure returns.
fn an_error_inside_an_error_is_found(server: &Server) {
    let pool = server.pool(1);
    let mut attempts = 0;
    let outcome = pool.transaction().retries(1).run(|tx| -> std::result::Result<(), Box<dyn std::error::Error>> {
        attempts += 1;
        earn(tx)?;
        if attempts == 1 {
            tx.query_drop("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213")?;
        }
        Ok(())
    });
    outcome.unwrap();
    assert_eq!((attempts, server.money(1)), (2, 1));
}

fn a_transaction_that_is_left_open_by_the_set_up_is_refused_at_once(server: &Server) {
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always, SessionPolicy::Never] {
        for begin in ["BEGIN", "START TRANSACTION READ ONLY"] {
            let by_hook = server.builder(1).on_open(move |conn: &mut Connection, _| conn.query_drop(begin));
            let by_init = MySqlManager::new(server.opts().init(vec![begin]));
            for (builder, manager) in [(by_hook, server.manager()), (server.builder(1), by_init)] {
                let began = Instant::now();
                let outcome = builder.session_policy(policy).build(manager);
                assert!(matches!(outcome, Err(BuildError::Connect(Cause::InTransaction))), "{policy:?}: {outcome:?}");
                // A temporary error would be retried for ten seconds.
                assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
            }
        }
        let commits = |conn: &mut Connection, _: &SetUp<'_>| {
            conn.query_drop("BEGIN")?;
            conn.query_drop("UPDATE account SET money = money WHERE id = 1")?;
            conn.query_drop("COMMIT")
        };
        let pool = server.builder(1).session_policy(policy).on_open(commits).build(server.manager()).unwrap();
        pool.transaction().run(earn).unwrap();
    }
    assert_eq!(server.money(1), 3);
}

fn a_transaction_never_begins_inside_one_that_is_open(server: &Server) {
    let pool = server.builder(1).session_policy(SessionPolicy::Never).build(server.manager()).unwrap();
    let mut conn = pool.get().unwrap();
    conn.query_drop("BEGIN").unwrap();
    conn.query_drop("UPDATE account SET money = 100 WHERE id = 1").unwrap();
    drop(conn);
    let outcome = pool.transaction().run(earn);
    assert!(matches!(outcome, Err(TransactionError::InTransaction)), "{outcome:?}");
    pool.transaction().run(earn).unwrap();
    assert_eq!(server.money(1), 1, "what was left open is not committed");
}

cabrank_testing::tests! {
    on_each_server:
        a_transaction_that_is_left_open_by_the_set_up_is_refused_at_once,
        a_transaction_never_begins_inside_one_that_is_open,
        no_serializable_transaction_is_lost,
        a_deadlock_is_run_again,
        a_deadlock_that_was_passed_over_commits_nothing_by_halves,
        a_lock_wait_that_timed_out_is_rolled_back_and_run_again,
        without_retries_a_lock_wait_that_timed_out_leaves_nothing,
        an_error_of_the_closure_rolls_back,
        a_wrong_number_of_parameters_costs_no_connection,
        options_are_the_drivers,
        a_snapshot_on_a_dead_connection_is_an_error_and_no_panic,
        a_dropped_transaction_is_rolled_back,
        a_commit_whose_connection_is_aborted_is_unknown_and_not_tried_again,
        an_error_inside_an_error_is_found,
}
