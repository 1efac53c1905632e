//! The session state that the manager reports without a query.

use crate::fixture::Database;
use cabrank_sqlite::cabrank::{Manager, SessionState};
use cabrank_sqlite::rusqlite::config::DbConfig;
use cabrank_sqlite::rusqlite::hooks::{Action, AuthContext, Authorization};
use cabrank_sqlite::rusqlite::limits::Limit;
use cabrank_sqlite::rusqlite::{Transaction, TransactionBehavior};
use cabrank_sqlite::{Connection, SqliteManager};
use cabrank_testing::harness::alone;
use std::time::Duration;

/// The reported state after `work` on a fresh connection.
fn session_after(work: impl FnOnce(&mut Connection)) -> SessionState {
    let database = Database::new();
    let manager = database.manager();
    let mut conn = manager.open().expect("a connection");
    assert_eq!(manager.session(&mut conn), SessionState::Clean, "a fresh connection is clean");
    work(&mut conn);
    manager.session(&mut conn)
}

fn session_after_sql(sql: &str) -> SessionState {
    session_after(|conn| conn.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}")))
}

fn reading_writing_and_migrating_leave_the_session_clean() {
    for sql in [
        "SELECT * FROM account",
        "UPDATE account SET money = 7",
        "BEGIN; INSERT INTO account VALUES (2, 0); COMMIT",
        "BEGIN; DELETE FROM account; ROLLBACK",
        "SAVEPOINT a; DELETE FROM account; ROLLBACK TO a; RELEASE a",
        "CREATE TABLE t (a); CREATE INDEX i ON t (a); CREATE VIEW v AS SELECT * FROM t; ALTER TABLE t RENAME TO u",
        "CREATE TRIGGER g AFTER INSERT ON account BEGIN SELECT 1; END; DROP TRIGGER g",
        "ANALYZE; REINDEX",
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT sum(i) FROM n",
        "PRAGMA foreign_keys",
        "PRAGMA table_info(account)",
        "SELECT * FROM pragma_table_info('account')",
        "PRAGMA user_version = 3",
        "PRAGMA integrity_check; PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)",
    ] {
        assert_eq!(session_after_sql(sql), SessionState::Clean, "{sql}");
    }
}

fn cached_statements_leave_the_session_clean() {
    let session = session_after(|conn| {
        for _ in 0..3 {
            let mut statement = conn.prepare_cached("SELECT money FROM account WHERE id = ?1").expect("a statement");
            assert_eq!(statement.query_row([1], |row| row.get::<_, i64>(0)).expect("a row"), 0);
        }
    });
    assert_eq!(session, SessionState::Clean);
}

fn settings_that_are_set_back_at_once_are_seen() {
    for sql in [
        "PRAGMA foreign_keys = OFF",
        "pragma FOREIGN_KEYS(0)",
        "PRAGMA query_only = 1",
        "PRAGMA busy_timeout = 1",
        "PRAGMA wal_autocheckpoint = 1",
        "BEGIN; PRAGMA query_only = 1; ROLLBACK",
        "EXPLAIN PRAGMA foreign_keys = OFF",
    ] {
        assert_eq!(session_after_sql(sql), SessionState::Slight, "{sql}");
    }
}

fn what_may_take_long_to_undo_is_seen() {
    for sql in [
        "PRAGMA main.cache_size = 7",
        "PRAGMA mmap_size = 1000000",
        "PRAGMA temp_store = 2",
        "PRAGMA journal_mode = WAL",
        "CREATE TEMP TABLE t (a)",
        "CREATE TABLE temp.t (a)",
        "CREATE VIEW temp.v AS SELECT 1",
        "CREATE TRIGGER temp.g AFTER INSERT ON account BEGIN SELECT 1; END",
        "CREATE TEMP TABLE t AS SELECT * FROM account",
        "CREATE TEMP VIEW v AS SELECT * FROM account",
        "CREATE TEMP TRIGGER g AFTER INSERT ON account BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE temp.f USING fts5(a)",
        "ATTACH ':memory:' AS extra",
        "ATTACH '' || ':memory:' AS extra",
    ] {
        assert_eq!(session_after_sql(sql), SessionState::Unknown, "{sql}");
    }
    for sql in ["PRAGMA case_sensitive_like = 1", "PRAGMA locking_mode = EXCLUSIVE", "PRAGMA no_such_pragma = 1"] {
        assert_eq!(session_after_sql(sql), SessionState::BeyondReset, "{sql}");
    }
}

fn settings_made_through_the_driver_are_seen() {
    let cases: [(&str, fn(&mut Connection)); 6] = [
        ("busy_timeout", |conn| conn.busy_timeout(Duration::from_millis(1)).unwrap()),
        ("busy_handler", |conn| conn.busy_handler(Some(|_| false)).unwrap()),
        ("set_limit", |conn| assert!(conn.set_limit(Limit::SQLITE_LIMIT_COLUMN, 3).is_ok())),
        ("set_db_config", |conn| assert!(!conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false).unwrap())),
        ("set_transaction_behavior", |conn| conn.set_transaction_behavior(TransactionBehavior::Exclusive)),
        ("pragma_update", |conn| conn.pragma_update(None, "foreign_keys", false).unwrap()),
    ];
    for (name, set) in cases {
        assert_eq!(session_after(set), SessionState::Slight, "{name}");
    }
}

fn hooks_of_the_holder_make_the_session_unknown_even_when_it_removes_them() {
    let cases: [(&str, fn(&mut Connection)); 7] = [
        ("authorizer", |conn| conn.authorizer(Some(|_: AuthContext<'_>| Authorization::Allow)).unwrap()),
        ("no authorizer", |conn| conn.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).unwrap()),
        ("commit_hook", |conn| conn.commit_hook(Some(|| true)).unwrap()),
        ("rollback_hook", |conn| conn.rollback_hook(Some(|| ())).unwrap()),
        ("update_hook", |conn| conn.update_hook(Some(|_: Action, _: &str, _: &str, _: i64| ())).unwrap()),
        ("progress_handler", |conn| conn.progress_handler(1, Some(|| true)).unwrap()),
        ("no progress_handler", |conn| conn.progress_handler(0, None::<fn() -> bool>).unwrap()),
    ];
    for (name, hook) in cases {
        assert_eq!(session_after(hook), SessionState::Unknown, "{name}");
    }
}

fn an_open_transaction_is_known_however_it_was_left() {
    let cases: [(&str, fn(&mut Connection)); 4] = [
        ("BEGIN", |conn| conn.execute_batch("BEGIN").unwrap()),
        ("SAVEPOINT", |conn| conn.execute_batch("SAVEPOINT a").unwrap()),
        ("after an error", |conn| {
            conn.execute_batch("BEGIN; UPDATE account SET money = 1").unwrap();
            conn.execute_batch("INSERT INTO account VALUES (1, 0)").unwrap_err();
        }),
        ("forgotten", |conn| {
            let transaction: Transaction<'_> = conn.transaction().unwrap();
            std::mem::forget(transaction);
        }),
    ];
    for (name, begin) in cases {
        assert_eq!(session_after(begin), SessionState::InTransaction, "{name}");
    }
}

fn a_statement_leaked_while_it_runs_is_not_called_clean() {
    let session = session_after(|conn| {
        let mut statement = conn.prepare("SELECT * FROM account").unwrap();
        let mut rows = statement.query([]).unwrap();
        assert!(rows.next().unwrap().is_some());
        std::mem::forget(rows);
        std::mem::forget(statement);
    });
    assert_eq!(session, SessionState::Unknown);
}

fn what_init_sets_is_not_held_against_the_holder() {
    let manager = SqliteManager::memory().with_init(|conn| {
        conn.commit_hook(Some(|| false))?;
        conn.execute_batch("PRAGMA cache_size = 77; ATTACH ':memory:' AS extra")
    });
    let mut conn = manager.open().expect("a connection");
    assert_eq!(manager.session(&mut conn), SessionState::Clean);
}

cabrank_testing::tests! {
    alone:
        reading_writing_and_migrating_leave_the_session_clean,
        cached_statements_leave_the_session_clean,
        settings_that_are_set_back_at_once_are_seen,
        what_may_take_long_to_undo_is_seen,
        settings_made_through_the_driver_are_seen,
        hooks_of_the_holder_make_the_session_unknown_even_when_it_removes_them,
        an_open_transaction_is_known_however_it_was_left,
        a_statement_leaked_while_it_runs_is_not_called_clean,
        what_init_sets_is_not_held_against_the_holder,
}
