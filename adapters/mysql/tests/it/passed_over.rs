//! Errors that a closure ignores or never sees: nothing is committed in part, and the next holder does not see them either.

use crate::server::{Server, on_each_server, settle};
use cabrank_mysql::cabrank::TransactionError;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{Error, Result, Row, TxOpts};
use cabrank_mysql::{Connection, Transaction};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

type Act = fn(&mut Transaction<'_>) -> Result<()>;

/// The first row arrives before the second one meets the deadlock.
const READS: &str = "SELECT id FROM account WHERE id <= 2 ORDER BY id FOR UPDATE";

/// The calls that return an error, and those that cannot.
const TELL: [(&str, Act); 6] = [
    ("query_first", |tx| tx.query_first::<u32, _>(READS).map(drop)),
    ("exec_first", |tx| tx.exec_first::<u32, _, _>(READS, ()).map(drop)),
    ("query_drop", |tx| tx.query_drop(READS)),
    ("exec_drop", |tx| tx.exec_drop(READS, ())),
    ("exec_batch", |tx| tx.exec_batch(READS, [()])),
    ("two statements", |tx| {
        tx.query_drop("UPDATE account SET money = 7 WHERE id = 1; UPDATE account SET money = 7 WHERE id = 2")
    }),
];
const CANNOT: [(&str, Act); 3] = [
    ("query_iter", |tx| tx.query_iter(READS).map(drop)),
    ("exec_iter", |tx| tx.exec_iter(READS, ()).map(|mut rows| drop(rows.next()))),
    ("a panic among the rows", |tx| {
        let folded =
            catch_unwind(AssertUnwindSafe(|| tx.query_fold(READS, (), |(), _: u32| panic!("as the test wants it"))));
        folded.map_or(Ok(()), |folded| folded)
    }),
];

/// The outcome of a transaction that met a deadlock in `act` and ignored the error: how often it ran, whether `act` returned the error,
/// and the transaction's result.
fn pass_over(server: &Server, act: Act) -> (u32, bool, std::result::Result<(), TransactionError<Error, Error>>) {
    server.run(format!("UPDATE {}.account SET money = 0", server.database));
    let pool = server.pool(1);
    let (mut attempts, mut told) = (0, false);
    let outcome = pool.transaction().retries(1).run(|tx| {
        attempts += 1;
        if attempts > 1 {
            return Ok(());
        }
        tx.query_drop("SET SESSION max_error_count = 1")?;
        tx.query_drop("UPDATE account SET money = 7 WHERE id = 3")?;
        let mut rival = server.aside();
        // It has changed more rows, so the server spares it.
        rival.query_drop("START TRANSACTION; UPDATE account SET money = 1 WHERE id = 2 OR id > 10").unwrap();
        thread::scope(|scope| {
            let rival = scope.spawn(move || {
                rival.query_drop("UPDATE account SET money = 1 WHERE id = 3").expect("spared");
                rival.query_drop("ROLLBACK").unwrap();
            });
            told = act(tx).is_err();
            // The deadlock's end lets the rival continue.
            rival.join().unwrap();
        });
        tx.query_drop("UPDATE account SET money = 7 WHERE id = 4").expect_err("would be committed at once");
        Ok(())
    });
    assert_eq!((server.money(1), server.money(3), server.money(4)), (0, 0, 0), "by halves");
    (attempts, told, outcome)
}

fn a_deadlock_in_a_later_row_is_told_and_run_again(server: &Server) {
    for (name, act) in TELL {
        let (attempts, told, outcome) = pass_over(server, act);
        assert!(told, "{name}");
        outcome.unwrap_or_else(|error| panic!("{name}: the second attempt goes through, but {error}"));
        assert_eq!(attempts, 2, "{name}");
    }
}

fn a_deadlock_that_only_the_drivers_rows_have_met_commits_nothing(server: &Server) {
    for (name, act) in CANNOT {
        let (attempts, told, outcome) = pass_over(server, act);
        assert!(!told, "{name}");
        outcome.unwrap_or_else(|error| panic!("{name}: the second attempt goes through, but {error}"));
        assert_eq!(attempts, 2, "{name}");
    }
}

/// The session keeps one warning for each statement, and the first row already has one.
fn nor_does_one_that_the_server_keeps_no_record_of(server: &Server) {
    let (attempts, _, outcome) = pass_over(server, |tx| {
        let warns = "SELECT id, CAST('x' AS SIGNED) FROM account WHERE id <= 2 ORDER BY id FOR UPDATE";
        tx.query_iter(warns).map(|mut rows| drop(rows.next()))
    });
    let error = outcome.expect_err("unknown outcome");
    assert!(format!("{error:?}").contains("no record"), "{error:?}");
    assert_eq!(attempts, 1);
}

fn rows_without_errors_disturb_no_transaction(server: &Server) {
    let mut conn = server.manager().open().unwrap();
    let mut tx = conn.start_transaction(TxOpts::default()).unwrap();
    assert_eq!(tx.query_iter("SELECT id, CAST('x' AS SIGNED) FROM account").unwrap().count(), 50);
    tx.query_drop("UPDATE account SET money = 7 WHERE id = 1").unwrap();
    assert_eq!(tx.exec_iter("SELECT id FROM account WHERE id < ?", (4,)).unwrap().count(), 3);
    assert_eq!(tx.query_first("SELECT FOUND_ROWS()").unwrap(), Some(3));
    drop(tx.query_iter("INSERT INTO account VALUES (1, 0)").expect_err("a row that is there already"));
    drop(tx.query_iter("UPDATE account SET money = 7 WHERE id = 2").unwrap());
    tx.commit().unwrap();
    assert_eq!((server.money(1), server.money(2)), (7, 7));
}

/// `innodb_rollback_on_timeout` can be set only at the server's start.
fn a_lock_wait_that_rolls_all_back_commits_nothing_by_halves(server: &Server) {
    if server.ask("SELECT @@innodb_rollback_on_timeout") != Some(true) {
        server.lacks("innodb_rollback_on_timeout");
    }
    let mut rival = server.aside();
    rival.query_drop("START TRANSACTION; UPDATE account SET money = 5 WHERE id = 2").unwrap();
    let pool = server.pool(1);
    for begun_anew in [false, true] {
        let outcome = pool.transaction().run(|tx| -> Result<()> {
            tx.query_drop("SET SESSION innodb_lock_wait_timeout = 1")?;
            tx.query_drop("UPDATE account SET money = 7 WHERE id = 1")?;
            tx.query_drop("UPDATE account SET money = 7 WHERE id = 2").expect_err("a lock wait that times out");
            let _ = tx.query_drop("UPDATE account SET money = 7 WHERE id = 3");
            Ok(())
        });
        outcome.expect_err(if begun_anew { "also after a reset" } else { "the transaction is gone" });
        settle(&pool);
    }
    assert_eq!((server.money(1), server.money(3)), (0, 0));
}

fn an_error_that_was_passed_over_is_not_shown_to_the_next_holder(server: &Server) {
    type Work = fn(&mut Connection);
    const LATER: &str = "SELECT (SELECT id FROM account a WHERE a.id <= b.id) FROM account b ORDER BY id";
    let works: [(&str, Work); 7] = [
        ("in a later row", |conn| drop(conn.query_first::<u32, _>(LATER).expect_err("the second row"))),
        ("in a later row, prepared", |conn| drop(conn.exec_first::<u32, _, _>(LATER, ()).expect_err("the second row"))),
        ("in preparing", |conn| drop(conn.prep("SELECT secret FROM account").unwrap_err())),
        ("in preparing what is executed", |conn| drop(conn.exec_drop("SELECT secret FROM account", ()).unwrap_err())),
        ("in preparing, in a transaction", |conn| {
            let mut tx = conn.start_transaction(TxOpts::default()).unwrap();
            tx.prep("SELECT secret FROM account").unwrap_err();
            tx.commit().unwrap();
        }),
        ("a warning in preparing", |conn| drop(conn.prep("SELECT 'secret' || 'b'").unwrap())),
        ("among the rows", |conn| drop(conn.query_iter(LATER).unwrap())),
    ];
    let pool = server.pool(1);
    for (name, work) in works {
        work(&mut pool.get().unwrap());
        settle(&pool);
        assert_eq!(pool.get().unwrap().query::<Row, _>("SHOW WARNINGS").unwrap().len(), 0, "{name}");
        settle(&pool);
    }
    assert_eq!(pool.stats().opened, 1);
}

cabrank_testing::tests! {
    on_each_server:
        a_deadlock_in_a_later_row_is_told_and_run_again,
        a_deadlock_that_only_the_drivers_rows_have_met_commits_nothing,
        nor_does_one_that_the_server_keeps_no_record_of,
        rows_without_errors_disturb_no_transaction,
        a_lock_wait_that_rolls_all_back_commits_nothing_by_halves,
        an_error_that_was_passed_over_is_not_shown_to_the_next_holder,
}
