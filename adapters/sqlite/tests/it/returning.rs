//! Dirty returns: whatever one holder leaves behind, the next one finds a session as good as new.

use crate::fixture::{Database, money, session_of};
use cabrank_sqlite::cabrank::SessionPolicy;
use cabrank_sqlite::rusqlite;
use cabrank_sqlite::rusqlite::config::DbConfig;
use cabrank_sqlite::rusqlite::hooks::{Action, AuthContext, Authorization};
use cabrank_sqlite::rusqlite::limits::Limit;
use cabrank_sqlite::rusqlite::{DropBehavior, ErrorCode, TransactionBehavior, TransactionState};
use cabrank_sqlite::{Connection, Pool, PooledConnection};
use cabrank_testing::harness::alone;
use cabrank_testing::{assert_closes_clean, assert_no_leaks};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The fate of a connection that a holder left dirty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    Reset,
    Replaced,
}

/// Lends a pool's only connection to `soil`, and asserts that the next holder sees no trace of it.
fn assert_undone(name: &str, afterwards: Afterwards, soil: impl FnOnce(&mut Connection)) {
    let database = Database::new();
    let pool = database.pool(1);
    let mut conn = pool.get().unwrap();
    let (id, before) = (PooledConnection::id(&conn), session_of(&conn));
    soil(&mut conn);
    assert_ne!(session_of(&conn), before, "{name} does something that shows");
    drop(conn);

    let conn = pool.get().unwrap();
    assert_eq!(session_of(&conn), before, "after {name}");
    let now = if PooledConnection::id(&conn) == id { Afterwards::Reset } else { Afterwards::Replaced };
    assert_eq!(now, afterwards, "after {name}");
    conn.execute("UPDATE account SET money = 5", []).unwrap_or_else(|error| panic!("writing after {name}: {error}"));
    drop(conn);
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

fn assert_undone_sql(afterwards: Afterwards, sql: &str) {
    assert_undone(sql, afterwards, |conn| conn.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}")));
}

fn transactions_are_rolled_back_however_they_were_left() {
    assert_undone_sql(Afterwards::Reset, "BEGIN");
    assert_undone_sql(Afterwards::Reset, "BEGIN IMMEDIATE; UPDATE account SET money = 9");
    assert_undone_sql(Afterwards::Reset, "SAVEPOINT a; UPDATE account SET money = 9");
    assert_undone_sql(Afterwards::Reset, "BEGIN; CREATE TABLE t (a); SAVEPOINT a; DROP TABLE t; ROLLBACK TO a");
    assert_undone("a statement failed in the transaction", Afterwards::Reset, |conn| {
        conn.execute_batch("BEGIN; UPDATE account SET money = 9").unwrap();
        conn.execute_batch("INSERT INTO account VALUES (1, 0)").unwrap_err();
    });
    assert_undone("a forgotten transaction", Afterwards::Reset, |conn| {
        let transaction = conn.transaction().unwrap();
        transaction.execute("UPDATE account SET money = 9", []).unwrap();
        std::mem::forget(transaction);
    });
    assert_undone("a transaction whose drop ignores it", Afterwards::Reset, |conn| {
        let mut transaction = conn.transaction().unwrap();
        transaction.set_drop_behavior(DropBehavior::Ignore);
        transaction.execute("UPDATE account SET money = 9", []).unwrap();
    });
}

fn what_was_not_committed_is_gone() {
    let database = Database::new();
    let pool = database.pool(1);
    pool.get().unwrap().execute_batch("BEGIN; UPDATE account SET money = 9").unwrap();
    assert_eq!(money(&pool.get().unwrap()), 0);
    pool.get().unwrap().execute_batch("BEGIN; UPDATE account SET money = 9; COMMIT").unwrap();
    assert_eq!(money(&pool.get().unwrap()), 9);
}

fn an_abandoned_transaction_does_not_block_other_writers() {
    let database = Database::new();
    let pool = database.pool(2);
    let other = pool.get().unwrap();
    pool.get().unwrap().execute_batch("BEGIN IMMEDIATE").unwrap();
    // The return leaves the rollback to a worker; the other connection waits for the lock only until then.
    other.execute("UPDATE account SET money = 1", []).unwrap();
    assert_eq!(money(&other), 1);
    drop(other);
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

fn pragmas_are_set_back() {
    for sql in [
        "PRAGMA foreign_keys = OFF",
        "PRAGMA query_only = ON",
        "PRAGMA busy_timeout = 1",
        "PRAGMA cache_size = 7",
        "PRAGMA synchronous = OFF",
        "PRAGMA temp_store = MEMORY",
        "PRAGMA wal_autocheckpoint = 0",
        "PRAGMA recursive_triggers(1)",
        "PRAGMA ignore_check_constraints = 1; PRAGMA reverse_unordered_selects = 1; PRAGMA threads = 2",
        "PRAGMA cache_spill = 0",
        "PRAGMA trusted_schema = 0; PRAGMA legacy_alter_table = 1",
        "BEGIN; PRAGMA query_only = ON; ROLLBACK",
        "BEGIN; PRAGMA query_only = ON",
    ] {
        assert_undone_sql(Afterwards::Reset, sql);
    }
}

fn a_connection_with_a_pragma_that_cannot_be_undone_is_replaced() {
    for sql in [
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA locking_mode = EXCLUSIVE; SELECT * FROM account",
        "PRAGMA max_page_count = 1000",
        "PRAGMA secure_delete = 1",
        "PRAGMA journal_mode = DELETE",
    ] {
        assert_undone_sql(Afterwards::Replaced, sql);
    }
}

fn a_cached_pragma_that_runs_again_in_a_later_loan_is_undone_again() {
    let database = Database::new();
    let pool = database.pool(1);
    let before = session_of(&pool.get().unwrap());
    for _ in 0..3 {
        let conn = pool.get().unwrap();
        conn.prepare_cached("PRAGMA query_only = 1").unwrap().execute([]).unwrap();
        conn.prepare_cached("ATTACH ':memory:' AS extra").unwrap().execute([]).unwrap();
        conn.execute("UPDATE account SET money = 1", []).expect_err("query_only holds in this loan");
        drop(conn);
        assert_eq!(session_of(&pool.get().unwrap()), before);
    }
    assert_eq!(pool.stats().opened, 1, "never replaced");
}

fn temporary_objects_are_dropped() {
    for sql in [
        "CREATE TEMP TABLE t (a)",
        "CREATE TABLE temp.t (a INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (1)",
        "CREATE TEMP TABLE \"a \"\"quoted\"\" name\" (a); CREATE INDEX temp.i ON \"a \"\"quoted\"\" name\" (a)",
        "CREATE TEMP VIEW v AS SELECT * FROM account",
        "CREATE TEMP TRIGGER g AFTER INSERT ON account BEGIN UPDATE account SET money = 666; END",
        "CREATE TEMP TABLE t (a); CREATE TEMP VIEW v AS SELECT a FROM t; CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END",
        "CREATE TEMP TABLE p (a PRIMARY KEY); CREATE TEMP TABLE c (a REFERENCES p); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1)",
        "CREATE VIRTUAL TABLE temp.f USING fts5(a); INSERT INTO f VALUES ('word')",
        "CREATE TEMP TABLE t (a); PRAGMA query_only = 1",
    ] {
        let database = Database::new();
        let pool = database.pool(1);
        let before = session_of(&pool.get().unwrap());
        let conn = pool.get().unwrap();
        conn.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        drop(conn);
        assert_eq!(session_of(&pool.get().unwrap()), before, "after {sql}");
        assert_eq!(pool.stats().opened, 1, "{sql}");
    }
}

fn attached_databases_are_detached() {
    assert_undone_sql(Afterwards::Reset, "ATTACH ':memory:' AS extra");
    assert_undone_sql(Afterwards::Reset, "ATTACH '' || ':memory:' AS \"an \"\"odd\"\" name\"; ATTACH ':memory:' AS b");
    assert_undone_sql(
        Afterwards::Reset,
        "ATTACH ':memory:' AS extra; CREATE TABLE extra.t (a); BEGIN; INSERT INTO t VALUES (1)",
    );
}

fn what_init_attached_stays_attached() {
    let database = Database::new();
    let manager = database.manager().with_init(|conn| conn.execute_batch("ATTACH ':memory:' AS extra"));
    let pool = Pool::builder().max_size(1).build(manager).unwrap();
    let before = session_of(&pool.get().unwrap());
    for soiled in ["ATTACH ':memory:' AS more", "DETACH extra", "DETACH extra; ATTACH 'file:/y?vfs=memdb' AS extra"] {
        pool.get().unwrap().execute_batch(soiled).unwrap();
        assert_eq!(session_of(&pool.get().unwrap()), before, "after {soiled}");
    }
}

fn settings_made_through_the_driver_are_set_back() {
    assert_undone("busy_timeout", Afterwards::Reset, |conn| conn.busy_timeout(Duration::ZERO).unwrap());
    assert_undone("busy_handler", Afterwards::Reset, |conn| conn.busy_handler(Some(|_| false)).unwrap());
    assert_undone("set_limit", Afterwards::Reset, |conn| {
        conn.set_limit(Limit::SQLITE_LIMIT_COLUMN, 3).unwrap();
    });
    assert_undone("set_db_config", Afterwards::Reset, |conn| {
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).unwrap();
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false).unwrap();
    });
}

fn the_usual_transaction_of_the_driver_is_deferred_again() {
    let database = Database::new();
    let pool = database.pool(1);
    let mut conn = pool.get().unwrap();
    conn.set_transaction_behavior(TransactionBehavior::Immediate);
    assert_eq!(conn.transaction().unwrap().transaction_state(Some("main")).unwrap(), TransactionState::Write);
    drop(conn);
    let mut conn = pool.get().unwrap();
    assert_eq!(conn.transaction().unwrap().transaction_state(Some("main")).unwrap(), TransactionState::None);
}

fn hooks_of_the_last_holder_are_not_called_for_the_next() {
    let database = Database::new();
    let pool = database.pool(1);
    let calls = Arc::new(AtomicUsize::new(0));
    let call = |calls: &Arc<AtomicUsize>| {
        let calls = Arc::clone(calls);
        move || calls.fetch_add(1, Ordering::Relaxed)
    };
    let soils: [(&str, &dyn Fn(&mut Connection)); 5] = [
        ("authorizer", &|conn| {
            let call = call(&calls);
            let hook = move |_: AuthContext<'_>| {
                call();
                Authorization::Allow
            };
            conn.authorizer(Some(hook)).unwrap();
        }),
        ("commit_hook", &|conn| {
            let call = call(&calls);
            conn.commit_hook(Some(move || call() == usize::MAX)).unwrap();
        }),
        ("rollback_hook", &|conn| {
            let call = call(&calls);
            conn.rollback_hook(Some(move || _ = call())).unwrap();
        }),
        ("update_hook", &|conn| {
            let call = call(&calls);
            conn.update_hook(Some(move |_: Action, _: &str, _: &str, _| _ = call())).unwrap();
        }),
        ("progress_handler", &|conn| {
            let call = call(&calls);
            conn.progress_handler(1, Some(move || call() == usize::MAX)).unwrap();
        }),
    ];
    let work = "BEGIN; UPDATE account SET money = money + 1; COMMIT; BEGIN; DELETE FROM account; ROLLBACK";
    for (name, soil) in soils {
        let mut conn = pool.get().unwrap();
        soil(&mut conn);
        conn.execute_batch(work).unwrap();
        assert!(calls.load(Ordering::Relaxed) > 0, "{name} is called for its own holder");
        drop(conn);

        let conn = pool.get().unwrap();
        calls.store(0, Ordering::Relaxed);
        conn.execute_batch(work).unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 0, "{name} is not called for the next");
    }
    assert_eq!(pool.stats().opened, 1, "never replaced");
}

fn a_hook_that_forbids_everything_does_not_stop_the_reset() {
    assert_undone("a denying authorizer", Afterwards::Reset, |conn| {
        conn.execute_batch("CREATE TEMP TABLE t (a); BEGIN; UPDATE account SET money = 9").unwrap();
        conn.authorizer(Some(|_: AuthContext<'_>| Authorization::Deny)).unwrap();
        conn.authorizer(Some(|_: AuthContext<'_>| Authorization::Allow)).unwrap();
    });
    assert_undone("a commit hook that rolls back", Afterwards::Reset, |conn| {
        conn.execute_batch("CREATE TEMP TABLE t (a)").unwrap();
        conn.commit_hook(Some(|| true)).unwrap();
    });
    let database = Database::new();
    let pool = database.pool(1);
    let forbid = |conn: &mut Connection| {
        conn.execute_batch("BEGIN; UPDATE account SET money = 9").unwrap();
        conn.authorizer(Some(|_: AuthContext<'_>| Authorization::Deny)).unwrap();
        conn.commit_hook(Some(|| true)).unwrap();
        conn.progress_handler(1, Some(|| true)).unwrap();
    };
    forbid(&mut pool.get().unwrap());
    assert_eq!(money(&pool.get().unwrap()), 0);
    assert_eq!(pool.stats().opened, 1, "never replaced");
}

fn what_was_done_under_an_authorizer_of_the_holder_is_undone_unseen() {
    assert_undone("an own authorizer", Afterwards::Reset, |conn| {
        conn.authorizer(Some(|_: AuthContext<'_>| Authorization::Allow)).unwrap();
        conn.execute_batch("PRAGMA foreign_keys = 0; CREATE TEMP TABLE t (a); ATTACH ':memory:' AS extra").unwrap();
    });
}

fn a_connection_with_a_leaked_statement_is_replaced() {
    assert_undone("a leaked statement", Afterwards::Replaced, |conn| {
        let mut statement = conn.prepare("SELECT * FROM account").unwrap();
        let mut rows = statement.query([]).unwrap();
        assert!(rows.next().unwrap().is_some());
        std::mem::forget(rows);
        std::mem::forget(statement);
    });
}

fn clean_loans_are_not_reset() {
    let database = Database::new();
    let pool = database.pool(1);
    for _ in 0..10 {
        let conn = pool.get().unwrap();
        conn.prepare_cached("UPDATE account SET money = money + 1").unwrap().execute([]).unwrap();
    }
    let stats = pool.stats();
    assert_eq!((stats.resets_skipped, stats.resets_done), (10, 0));

    pool.get().unwrap().execute_batch("PRAGMA cache_size = 7").unwrap();
    for _ in 0..10 {
        pool.get().unwrap().execute("UPDATE account SET money = 0", []).unwrap();
    }
    assert_eq!(pool.stats().resets_done, 1, "one dirty loan is not held against those after it");
}

fn the_policy_that_always_resets_undoes_what_tracking_cannot_see() {
    let database = Database::new();
    let pool = Pool::builder().max_size(1).session_policy(SessionPolicy::Always).build(database.manager()).unwrap();
    let soil = |driver: &mut rusqlite::Connection| {
        driver.busy_timeout(Duration::ZERO).unwrap();
        driver.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
        driver.set_limit(Limit::SQLITE_LIMIT_COLUMN, 3).unwrap();
    };
    let mut conn = pool.get().unwrap();
    let before = session_of(&conn);
    soil(&mut conn);
    assert_ne!(session_of(&conn), before);
    drop(conn);
    assert_eq!(session_of(&pool.get().unwrap()), before);
}

fn on_open_runs_again_after_a_reset() {
    let database = Database::new();
    let pool: Pool = Pool::builder()
        .max_size(1)
        .on_open(|conn, _| conn.execute_batch("CREATE TEMP TABLE IF NOT EXISTS mine (a); INSERT INTO mine VALUES (1)"))
        .build(database.manager())
        .unwrap();
    for _ in 0..3 {
        let conn = pool.get().unwrap();
        let rows: i64 = conn.query_row("SELECT count(*) FROM mine", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1);
    }
    assert_eq!(pool.stats().resets_done, 0, "what on_open makes is not a holder's trace");

    pool.get().unwrap().execute("INSERT INTO mine VALUES (2)", []).unwrap();
    let rows: i64 = pool.get().unwrap().query_row("SELECT count(*) FROM mine", [], |row| row.get(0)).unwrap();
    assert_eq!((rows, pool.stats().resets_done), (1, 1));
    assert_eq!(pool.stats().opened, 1, "never replaced");
}

fn a_connection_dropped_in_a_panic_keeps_no_lock() {
    let database = Database::new();
    let pool = database.pool(1);
    let panicking = pool.clone();
    std::thread::spawn(move || {
        let conn = panicking.get().unwrap();
        conn.execute_batch("BEGIN EXCLUSIVE").unwrap();
        panic!("on purpose");
    })
    .join()
    .expect_err("a panic");
    let conn = pool.get().unwrap();
    conn.execute("UPDATE account SET money = 1", []).unwrap();
    let locked = database.manager().busy_timeout(Duration::ZERO).open().unwrap();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = locked.execute_batch("BEGIN IMMEDIATE").unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
    drop(conn);
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

cabrank_testing::tests! {
    alone:
        transactions_are_rolled_back_however_they_were_left,
        what_was_not_committed_is_gone,
        an_abandoned_transaction_does_not_block_other_writers,
        pragmas_are_set_back,
        a_connection_with_a_pragma_that_cannot_be_undone_is_replaced,
        a_cached_pragma_that_runs_again_in_a_later_loan_is_undone_again,
        temporary_objects_are_dropped,
        attached_databases_are_detached,
        what_init_attached_stays_attached,
        settings_made_through_the_driver_are_set_back,
        the_usual_transaction_of_the_driver_is_deferred_again,
        hooks_of_the_last_holder_are_not_called_for_the_next,
        a_hook_that_forbids_everything_does_not_stop_the_reset,
        what_was_done_under_an_authorizer_of_the_holder_is_undone_unseen,
        a_connection_with_a_leaked_statement_is_replaced,
        clean_loans_are_not_reset,
        the_policy_that_always_resets_undoes_what_tracking_cannot_see,
        on_open_runs_again_after_a_reset,
        a_connection_dropped_in_a_panic_keeps_no_lock,
}
