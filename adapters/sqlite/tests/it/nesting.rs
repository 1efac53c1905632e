//! Nested transactions, and the connection's statements in inner and outer ones.

use crate::fixture::{Database, money};
use cabrank_sqlite::cabrank::TransactionError;
use cabrank_sqlite::rusqlite;
use cabrank_sqlite::rusqlite::{ErrorCode, StatementStatus};
use cabrank_sqlite::{Pool, SqliteManager, Transaction, TransactionMode};
use cabrank_testing::harness::alone;

fn a_cached_statement_is_used_in_transactions_and_those_nested_in_them() {
    fn runs(conn: &rusqlite::Connection) -> rusqlite::Result<i32> {
        let mut statement = conn.prepare_cached("SELECT 1")?;
        statement.query_row([], |_| Ok(()))?;
        Ok(statement.get_status(StatementStatus::Run))
    }

    let pool = Pool::builder().max_size(1).build(SqliteManager::memory()).unwrap();
    let before = runs(&pool.get().unwrap()).unwrap();
    let counted = pool.transaction().run(|tx| -> rusqlite::Result<_> { Ok([runs(tx)?, tx.nested(|tx| runs(tx))?]) });
    assert_eq!(counted.unwrap(), [before + 1, before + 2]);
}

/// Some errors make SQLite end the whole transaction. A savepoint set after that would begin a new one.
fn nothing_is_nested_in_a_transaction_that_sqlite_has_rolled_back() {
    let pool = Pool::builder().max_size(1).build(SqliteManager::memory()).unwrap();
    pool.get().unwrap().execute_batch("CREATE TABLE once (i UNIQUE)").unwrap();
    let mut ran = false;
    let outcome = pool.transaction().run(|tx| -> rusqlite::Result<()> {
        tx.execute("INSERT INTO once VALUES (1)", [])?;
        let within = tx.nested(|tx| tx.execute("INSERT OR ROLLBACK INTO once VALUES (1)", []));
        assert_eq!(within.unwrap_err().sqlite_error_code(), Some(ErrorCode::ConstraintViolation));
        assert!(tx.is_autocommit());
        let nested = tx.nested(|_| -> rusqlite::Result<()> {
            ran = true;
            Ok(())
        });
        assert!(nested.unwrap_err().to_string().contains("has ended"));
        Ok(())
    });
    assert!(matches!(outcome, Err(TransactionError::Commit(_))), "{outcome:?}");
    assert!(!ran);
    assert_eq!(pool.get().unwrap().query_row("SELECT count(*) FROM once", [], |row| row.get(0)), Ok(0));
}

/// The snapshot is outdated, and no savepoint helps: the transaction needs a new one.
fn a_write_within_that_comes_too_late_runs_the_whole_again() {
    let database = Database::new();
    let pool = database.pool(2);
    let (mut outer, mut inner) = (0, 0);
    let deferred = pool.transaction().options(TransactionMode::Deferred).retries(3);
    let outcome = deferred.run(|tx: &mut Transaction<'_>| -> rusqlite::Result<()> {
        outer += 1;
        let before = money(tx);
        if outer == 1 {
            pool.get().unwrap().execute_batch("UPDATE account SET money = 10")?;
        }
        tx.nested(|tx| {
            inner += 1;
            tx.execute("UPDATE account SET money = ?1", [before + 1]).map(drop)
        })
    });
    outcome.unwrap();
    assert_eq!((outer, inner), (2, 2));
    assert_eq!(money(&pool.get().unwrap()), 11);
}

cabrank_testing::tests! {
    alone:
        a_cached_statement_is_used_in_transactions_and_those_nested_in_them,
        nothing_is_nested_in_a_transaction_that_sqlite_has_rolled_back,
        a_write_within_that_comes_too_late_runs_the_whole_again,
}
