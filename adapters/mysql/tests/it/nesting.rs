//! Nested transactions: one that the server ends by itself never counts as committed.

use crate::server::{Server, on_each_server};
use cabrank_mysql::Transaction;
use cabrank_mysql::cabrank::TransactionError;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{Error, Result};
use cabrank_testing::panics::ORDERED;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn earn(tx: &mut Transaction<'_>, money: i64) -> Result<()> {
    tx.exec_drop("UPDATE account SET money = money + ? WHERE id = 1", (money,))
}

fn code(error: &Error) -> Option<u16> {
    match error {
        Error::MySqlError(error) => Some(error.code),
        _ => None,
    }
}

/// Whether the inner closure passes the error on or not, and whether the outer one does.
fn a_statement_within_that_commits_by_itself_is_an_error(server: &Server) {
    let pool = server.pool(1);
    for (name, fails, passes_over) in [("a", false, false), ("b", false, true), ("c", true, false), ("d", true, true)] {
        let before = server.money(1);
        let outcome = pool.transaction().retries(3).run(|tx| -> Result<()> {
            earn(tx, 1)?;
            let within = tx.nested(|tx| -> Result<()> {
                earn(tx, 10)?;
                tx.query_drop(format!("CREATE TABLE nested_{name} (i INT)"))?;
                if fails { tx.query_drop("no SQL at all") } else { Ok(()) }
            });
            let error = within.as_ref().unwrap_err();
            assert_eq!(code(error), Some(if fails { 1064 } else { 1305 }));
            assert_eq!(error.to_string().contains("statement that the server commits by itself"), !fails, "{error}");
            assert_eq!(code(&earn(tx, 100).unwrap_err()), Some(1305), "what follows would be committed at once");
            assert_eq!(code(&tx.nested(|tx| earn(tx, 1_000)).unwrap_err()), Some(1305));
            if passes_over { Ok(()) } else { within }
        });
        match outcome {
            Err(TransactionError::Commit(error)) if passes_over => assert_eq!(code(&error), Some(1305)),
            Err(TransactionError::User(_)) if !passes_over => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(server.money(1), before + 11, "what the server had committed stays, and nothing else");
    }
}

/// Without a transaction the server would drop the savepoint at once, and commit each statement.
fn after_a_statement_that_commits_by_itself_nothing_is_nested(server: &Server) {
    let pool = server.pool(1);
    let mut ran = false;
    let outcome = pool.transaction().run(|tx| -> Result<()> {
        earn(tx, 1)?;
        tx.query_drop("CREATE TABLE before_nesting (i INT)")?;
        let within = tx.nested(|tx| {
            ran = true;
            earn(tx, 10)
        });
        assert_eq!(code(&within.unwrap_err()), Some(1305));
        Ok(())
    });
    assert!(matches!(outcome, Err(TransactionError::Commit(_))), "{outcome:?}");
    assert!(!ran);
    assert_eq!(server.money(1), 1);
}

/// A text of unknown effect is no reason to refuse.
fn after_a_statement_that_is_not_known_a_nested_transaction_works(server: &Server) {
    let pool = server.pool(1);
    let outcome = pool.transaction().run(|tx| -> Result<()> {
        tx.query_drop("SHOW TABLES")?;
        tx.query_drop("SET @tenant = 7")?;
        tx.nested(|tx| earn(tx, 1))?;
        tx.nested(|tx| tx.nested(|tx| earn(tx, 10)))
    });
    outcome.unwrap();
    assert_eq!(server.money(1), 11);
}

/// Unless the server is configured to roll back the whole transaction: then nothing goes on.
fn a_lock_wait_within_that_timed_out_is_undone_alone(server: &Server) {
    let ends_all: bool = server.ask("SELECT @@innodb_rollback_on_timeout").expect("a setting");
    let pool = server.pool(1);
    let mut rival = server.aside();
    rival.query_drop("BEGIN").unwrap();
    rival.query_drop("UPDATE account SET money = 5 WHERE id = 2").unwrap();
    let outcome = pool.transaction().run(|tx| -> Result<()> {
        tx.query_drop("SET SESSION innodb_lock_wait_timeout = 1")?;
        earn(tx, 1)?;
        let within = tx.nested(|tx| {
            earn(tx, 10)?;
            tx.query_drop("UPDATE account SET money = 6 WHERE id = 2")
        });
        assert_eq!(code(&within.unwrap_err()), Some(1205));
        earn(tx, 100)
    });
    assert_eq!(outcome.is_err(), ends_all, "{outcome:?}");
    assert_eq!(server.money(1), if ends_all { 0 } else { 101 });
}

/// In the middle of an answer: its rest must not pass for the answer to the rollback.
fn a_panic_within_among_rows_is_undone_alone(server: &Server) {
    let pool = server.pool(1);
    let outcome = pool.transaction().run(|tx| -> Result<i64> {
        earn(tx, 1)?;
        let within = || {
            tx.nested(|tx| -> Result<()> {
                earn(tx, 10)?;
                tx.query_fold("SELECT id FROM account", (), |(), _: u32| panic!("{ORDERED}"))
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(within)).is_err());
        earn(tx, 100)?;
        Ok(tx.query_first("SELECT money FROM account WHERE id = 1")?.expect("an account"))
    });
    assert_eq!(outcome.unwrap(), 101);
    assert_eq!(server.money(1), 101);
}

/// The driver caches statements by their text, within a transaction as outside.
fn a_statement_is_prepared_once_for_all_transactions(server: &Server) {
    let prepared = |tx: &mut Transaction<'_>| -> Result<u64> {
        let row: Option<(String, u64)> = tx.query_first("SHOW SESSION STATUS LIKE 'Com_stmt_prepare'")?;
        Ok(row.expect("a number").1)
    };
    let pool =
        server.builder(1).session_policy(cabrank_mysql::cabrank::SessionPolicy::Never).build(server.manager()).unwrap();
    let counts = [0; 3].map(|_| {
        let counted = pool.transaction().run(|tx| -> Result<u64> {
            earn(tx, 1)?;
            tx.nested(|tx| earn(tx, 1))?;
            prepared(tx)
        });
        counted.unwrap()
    });
    assert_eq!(counts, [counts[0]; 3]);
}

cabrank_testing::tests! {
    on_each_server:
        a_statement_within_that_commits_by_itself_is_an_error,
        after_a_statement_that_commits_by_itself_nothing_is_nested,
        after_a_statement_that_is_not_known_a_nested_transaction_works,
        a_lock_wait_within_that_timed_out_is_undone_alone,
        a_panic_within_among_rows_is_undone_alone,
        a_statement_is_prepared_once_for_all_transactions,
}
