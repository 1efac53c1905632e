//! The user's choices, however they are made, survive defaults, resets and earlier holders.

use crate::fixture::{Database, money, refusal, setting};
use cabrank_sqlite::rusqlite::Connection;
use cabrank_sqlite::rusqlite::functions::FunctionFlags;
use cabrank_sqlite::rusqlite::hooks::{Action, AuthAction, AuthContext, Authorization, Wal};
use cabrank_sqlite::{JournalMode, Pool, SqliteManager, SqlitePools};
use cabrank_testing::harness::alone;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Changes the session in each way that a reset undoes.
const SOIL: &str = "PRAGMA cache_size = 5; PRAGMA busy_timeout = 1; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 3; \
                    CREATE TEMP TABLE soil (a); ATTACH ':memory:' AS soil; BEGIN";

fn one(manager: SqliteManager) -> Pool {
    Pool::builder().max_size(1).build(manager).expect("a pool")
}

fn assert_settings(conn: &Connection, expected: &[(&str, &str)], when: &str) {
    for (name, value) in expected {
        assert_eq!(setting(conn, name), *value, "{name} {when}");
    }
}

fn settings_of_init_win_over_the_defaults_before_and_after_a_reset() {
    const CHOSEN: [(&str, &str); 7] = [
        ("busy_timeout", "30000"),
        ("foreign_keys", "0"),
        ("journal_mode", "delete"),
        ("synchronous", "1"),
        ("cache_size", "-64000"),
        ("temp_store", "2"),
        ("wal_autocheckpoint", "77"),
    ];
    let init = |conn: &mut Connection| {
        let block: String = CHOSEN.iter().map(|(name, value)| format!("PRAGMA {name} = {value};")).collect();
        conn.execute_batch(&block)
    };
    let database = Database::new();
    database.manager().journal_mode(JournalMode::Delete).open().unwrap();
    let pool = one(database.manager().with_init(init));
    assert_settings(&pool.get().unwrap(), &CHOSEN, "when new");
    pool.get().unwrap().execute_batch(SOIL).unwrap();
    assert_settings(&pool.get().unwrap(), &CHOSEN, "after a reset");

    let pools = SqlitePools::builder(database.manager().with_init(init)).build();
    let pools = pools.expect("both pools");
    assert_settings(&pools.writer().unwrap(), &CHOSEN, "of the writer");
    assert_settings(&pools.reader().unwrap(), &CHOSEN, "of a reader");
}

fn settings_made_in_init_by_methods_of_the_driver_win_too() {
    let database = Database::new();
    let pool = one(database.manager().with_init(|conn| {
        conn.pragma_update(None, "journal_mode", "truncate")?;
        conn.pragma_update(None, "foreign_keys", false)?;
        conn.busy_timeout(Duration::from_millis(777))
    }));
    let chosen = [("journal_mode", "truncate"), ("foreign_keys", "0"), ("busy_timeout", "777")];
    assert_settings(&pool.get().unwrap(), &chosen, "when new");
    pool.get().unwrap().execute_batch(SOIL).unwrap();
    assert_settings(&pool.get().unwrap(), &chosen, "after a reset");
}

fn pragmas_of_the_manager_win_over_its_defaults() {
    let database = Database::new();
    let pool = one(database
        .manager()
        .pragma("Busy_Timeout", 1234)
        .pragma("foreign_keys", "off")
        .pragma("journal_mode", "MEMORY"));
    let chosen = [("journal_mode", "memory"), ("foreign_keys", "0"), ("busy_timeout", "1234")];
    assert_settings(&pool.get().unwrap(), &chosen, "when new");
    pool.get().unwrap().execute_batch(SOIL).unwrap();
    assert_settings(&pool.get().unwrap(), &chosen, "after a reset");
}

fn asking_for_the_journal_mode_is_no_choice() {
    let database = Database::new();
    let manager = database.manager().with_init(|conn| {
        setting(conn, "journal_mode");
        Ok(())
    });
    assert_eq!(setting(&manager.open().unwrap(), "journal_mode"), "wal");
}

fn a_limit_of_the_opening_does_not_shorten_later_waits() {
    let builder = || Pool::builder().max_size(1).connect_timeout(Duration::from_secs(2));
    let database = Database::new();
    let pool = builder().build(database.manager()).unwrap();
    assert_eq!(setting(&pool.get().unwrap(), "busy_timeout"), "5000");
    let chosen = database.manager().with_init(|conn| conn.busy_timeout(Duration::from_secs(9)));
    assert_eq!(setting(&builder().build(chosen).unwrap().get().unwrap(), "busy_timeout"), "9000");
}

#[cfg(unix)]
fn a_uri_that_rules_out_wal_leaves_the_file_as_it_is() {
    let database = Database::new();
    database.manager().journal_mode(JournalMode::Delete).open().unwrap();
    let path = database.path.display();
    for parameters in ["mode=ro", "immutable=1", "cache=private&nolock=1", "immutable=on#mode=rw"] {
        let pool = one(SqliteManager::file(format!("file:{path}?{parameters}")));
        let conn = pool.get().unwrap();
        assert_eq!((money(&conn), setting(&conn, "journal_mode")), (0, "delete".into()), "{parameters}");
    }
    let pool = one(SqliteManager::file(format!("file:{path}?immutable=0")));
    assert_eq!(setting(&pool.get().unwrap(), "journal_mode"), "wal");
}

fn a_busy_handler_of_init_stays() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    fn count(_: i32) -> bool {
        CALLS.fetch_add(1, Ordering::Relaxed);
        false
    }
    let database = Database::new();
    for manager in [database.manager(), database.manager().busy_timeout(Duration::ZERO)] {
        let pool = one(manager.with_init(|conn| conn.busy_handler(Some(count))));
        let locked = database.manager().open().unwrap();
        let assert_called = |when: &str| {
            let before = CALLS.load(Ordering::Relaxed);
            locked.execute_batch("BEGIN IMMEDIATE").unwrap();
            pool.get().unwrap().execute("UPDATE account SET money = 1", []).expect_err("a locked file");
            locked.execute_batch("ROLLBACK").unwrap();
            assert!(CALLS.load(Ordering::Relaxed) > before, "{when}");
        };
        assert_called("when new");
        pool.get().unwrap().execute_batch("PRAGMA foreign_keys = 0; BEGIN").unwrap();
        assert_called("after a reset");
        assert_eq!(pool.stats().opened, 1);
        pool.get().unwrap().busy_timeout(Duration::from_millis(1)).unwrap();
        assert_called("after a time-out of a holder's own");
        pool.get().unwrap().busy_handler(None::<fn(i32) -> bool>).unwrap();
        assert_called("after a holder took it away");
        pool.get().unwrap().execute_batch("PRAGMA busy_timeout = 0").unwrap();
        assert_called("after a pragma");
    }
}

fn a_wal_hook_of_init_stays() {
    let database = Database::new();
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let count = |_: &mut Wal, _| {
        CALLS.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let pool = one(database.manager().with_init(move |conn| {
        conn.wal_hook(Some(count))?;
        conn.execute_batch("CREATE TABLE IF NOT EXISTS t (a)")
    }));
    let assert_called = |when: &str| {
        let before = CALLS.load(Ordering::Relaxed);
        pool.get().unwrap().execute("INSERT INTO t VALUES (1)", []).unwrap();
        assert!(CALLS.load(Ordering::Relaxed) > before, "{when}");
    };
    assert_called("when new");
    pool.get().unwrap().execute_batch("PRAGMA foreign_keys = 0; BEGIN").unwrap();
    assert_called("after a reset");
    pool.get().unwrap().execute_batch("PRAGMA wal_autocheckpoint = 5").unwrap();
    assert_called("after a holder's choice");
    pool.get().unwrap().wal_hook(None::<fn(&mut Wal, i32) -> rusqlite::Result<()>>).unwrap();
    assert_called("after a holder took it away");
}

fn a_wal_hook_of_a_holder_is_gone_for_the_next() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let database = Database::new();
    let pool = database.pool(1);
    let mut conn = pool.get().unwrap();
    conn.wal_hook(Some(|_: &mut Wal, _| {
        CALLS.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }))
    .unwrap();
    conn.execute("UPDATE account SET money = 1", []).unwrap();
    drop(conn);
    assert_eq!(CALLS.load(Ordering::Relaxed), 1);
    let conn = pool.get().unwrap();
    conn.execute("UPDATE account SET money = 2", []).unwrap();
    assert_eq!((CALLS.load(Ordering::Relaxed), setting(&conn, "wal_autocheckpoint")), (1, "1000".into()));
}

fn what_a_holders_handlers_own_is_dropped_with_its_loan() {
    let database = Database::new();
    let pool = database.pool(1);
    let owned = Arc::new(());
    let mut conn = pool.get().unwrap();
    let of_hook = Arc::clone(&owned);
    conn.wal_hook(Some(move |_: &mut Wal, _| {
        let _ = &of_hook;
        Ok(())
    }))
    .unwrap();
    let of_handler = Arc::clone(&owned);
    conn.busy_handler(Some(move |_| Arc::strong_count(&of_handler) == 0)).unwrap();
    drop(conn);
    drop(pool.get().unwrap());
    assert_eq!((Arc::strong_count(&owned), pool.stats().opened), (1, 1));
}

fn hooks_of_init_stay_and_those_of_a_holder_go() {
    let database = Database::new();
    type Set = fn(&mut Connection, Arc<AtomicUsize>);
    let hooks: [(&str, Set); 4] = [
        ("commit_hook", |conn, calls| {
            conn.commit_hook(Some(move || calls.fetch_add(1, Ordering::Relaxed) == usize::MAX)).unwrap()
        }),
        ("rollback_hook", |conn, calls| {
            conn.rollback_hook(Some(move || _ = calls.fetch_add(1, Ordering::Relaxed))).unwrap()
        }),
        ("update_hook", |conn, calls| {
            conn.update_hook(Some(move |_: Action, _: &str, _: &str, _| _ = calls.fetch_add(1, Ordering::Relaxed)))
                .unwrap();
        }),
        ("progress_handler", |conn, calls| {
            conn.progress_handler(1, Some(move || calls.fetch_add(1, Ordering::Relaxed) == usize::MAX)).unwrap();
        }),
    ];
    for (name, set) in hooks {
        let (kept, foreign) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let of_init = Arc::clone(&kept);
        let pool = one(database.manager().with_init(move |conn| {
            conn.execute_batch("CREATE TABLE IF NOT EXISTS t (a)")?;
            set(conn, Arc::clone(&of_init));
            Ok(())
        }));
        let assert_kept = |when: &str| {
            let conn = pool.get().unwrap();
            kept.store(0, Ordering::Relaxed);
            foreign.store(0, Ordering::Relaxed);
            conn.execute_batch("INSERT INTO t VALUES (1); BEGIN; INSERT INTO t VALUES (2); ROLLBACK").unwrap();
            assert!(kept.load(Ordering::Relaxed) > 0, "{name} is called {when}");
            assert_eq!(foreign.load(Ordering::Relaxed), 0, "that of the holder is not called {when}");
        };
        assert_kept("when new");
        pool.get().unwrap().execute_batch("PRAGMA query_only = 1; BEGIN").unwrap();
        assert_kept("after a reset");
        assert_eq!((pool.stats().opened, pool.stats().resets_done), (1, 1), "{name}");
        match name {
            "commit_hook" => pool.get().unwrap().commit_hook(None::<fn() -> bool>).unwrap(),
            "rollback_hook" => pool.get().unwrap().rollback_hook(None::<fn()>).unwrap(),
            "update_hook" => pool.get().unwrap().update_hook(None::<fn(Action, &str, &str, i64)>).unwrap(),
            _ => pool.get().unwrap().progress_handler(0, None::<fn() -> bool>).unwrap(),
        }
        assert_kept("after a holder took it away");
        for (other, soil) in hooks {
            if other != name {
                soil(&mut pool.get().unwrap(), Arc::clone(&foreign));
                assert_kept(&format!("after a holder set a {other}"));
            }
        }
        pool.get().unwrap().authorizer(Some(|_: AuthContext<'_>| Authorization::Allow)).unwrap();
        assert_kept("after a holder set an authorizer");
    }
}

fn an_authorizer_of_init_is_refused_by_name() {
    let manager =
        SqliteManager::memory().with_init(|conn| conn.authorizer(Some(|_: AuthContext<'_>| Authorization::Allow)));
    let message = refusal(manager);
    assert!(
        message.contains("with_init set an authorizer") && message.contains("SqliteManager::authorizer"),
        "{message}"
    );
}

fn an_authorizer_of_the_manager_is_asked_in_each_loan_and_never_for_the_adapter() {
    let database = Database::new();
    let manager = database.manager().authorizer(|context| match context.action {
        AuthAction::Attach { .. } | AuthAction::Pragma { .. } | AuthAction::Transaction { .. } => Authorization::Deny,
        AuthAction::Read { column_name: "secret", .. } => Authorization::Ignore,
        _ => Authorization::Allow,
    });
    let pool: Pool = Pool::builder().max_size(1).check_after(Duration::ZERO).build(manager).unwrap();
    let assert_asked = |when: &str| {
        let conn = pool.get().unwrap();
        conn.execute_batch("ATTACH ':memory:' AS extra").expect_err(when);
        conn.execute_batch("PRAGMA foreign_keys").expect_err(when);
        conn.execute_batch("CREATE TABLE IF NOT EXISTS t (secret); INSERT INTO t VALUES (1)").unwrap();
        let hidden: Option<i64> = conn.query_row("SELECT secret FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(hidden, None, "{when}");
    };
    assert_asked("when new");
    assert_eq!(pool.stats().resets_done, 0, "what was refused left no trace");
    pool.get().unwrap().execute_batch("SAVEPOINT a; CREATE TEMP TABLE x (a)").unwrap();
    assert_asked("after a reset");
    pool.get().unwrap().authorizer(None::<fn(AuthContext<'_>) -> Authorization>).unwrap();
    assert_asked("after a holder took it away");
    assert_eq!((pool.stats().opened, pool.stats().resets_done), (1, 2), "never replaced");
}

fn functions_of_init_outlive_a_reset() {
    let pool = one(SqliteManager::memory()
        .with_init(|conn| conn.create_scalar_function("answer", 0, FunctionFlags::SQLITE_UTF8, |_| Ok(42))));
    pool.get().unwrap().execute_batch(SOIL).unwrap();
    let conn = pool.get().unwrap();
    assert_eq!(conn.query_row("SELECT answer()", [], |row| row.get::<_, i64>(0)).unwrap(), 42);
}

cabrank_testing::tests! {
    alone:
        settings_of_init_win_over_the_defaults_before_and_after_a_reset,
        settings_made_in_init_by_methods_of_the_driver_win_too,
        pragmas_of_the_manager_win_over_its_defaults,
        asking_for_the_journal_mode_is_no_choice,
        a_limit_of_the_opening_does_not_shorten_later_waits,
        #[cfg(unix)]
        a_uri_that_rules_out_wal_leaves_the_file_as_it_is,
        a_busy_handler_of_init_stays,
        a_wal_hook_of_init_stays,
        a_wal_hook_of_a_holder_is_gone_for_the_next,
        hooks_of_init_stay_and_those_of_a_holder_go,
        what_a_holders_handlers_own_is_dropped_with_its_loan,
        an_authorizer_of_init_is_refused_by_name,
        an_authorizer_of_the_manager_is_asked_in_each_loan_and_never_for_the_adapter,
        functions_of_init_outlive_a_reset,
}
