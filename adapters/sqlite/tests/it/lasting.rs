//! Changes that a reset cannot undo, and changes that no statement shows: the next holder sees none of them.

use crate::fixture::{Database, create_account, money, session_of, setting};
use cabrank_sqlite::cabrank::{CloseReason, Manager, SessionState};
use cabrank_sqlite::rusqlite;
use cabrank_sqlite::rusqlite::backup::Backup;
use cabrank_sqlite::rusqlite::config::DbConfig;
use cabrank_sqlite::rusqlite::hooks::{AuthAction, Authorization};
use cabrank_sqlite::rusqlite::limits::Limit;
use cabrank_sqlite::rusqlite::{ErrorCode, FileControl};
use cabrank_sqlite::{Connection, Pool, PooledConnection, SqliteManager};
use cabrank_testing::harness::alone;
use cabrank_testing::{Recorder, assert_no_leaks, eventually};
use std::time::Duration;

/// The image of another tenant's database, whose account holds 666.
fn image() -> &'static [u8] {
    let mut conn = rusqlite::Connection::open_in_memory().unwrap();
    create_account(&conn);
    conn.execute("UPDATE account SET money = 666", []).unwrap();
    let image = conn.serialize("main").unwrap().to_vec();
    image.leak()
}

fn one(manager: SqliteManager) -> Pool {
    Pool::builder().max_size(1).build(manager).expect("a pool")
}

fn a_database_that_a_holder_loads_in_place_of_the_pools_goes_with_its_loan() {
    let database = Database::new();
    let memory = SqliteManager::memory();
    create_account(&memory.open().unwrap());
    for manager in [database.manager(), memory] {
        let pool = one(manager);
        let mut conn = pool.get().unwrap();
        conn.deserialize_bytes("main", image()).unwrap();
        assert_eq!(money(&conn), 666);
        drop(conn);

        let conn = pool.get().unwrap();
        assert_eq!(money(&conn), 0, "the pool's own");
        conn.execute("UPDATE account SET money = 5", []).unwrap();
        drop(conn);
        pool.evict_all();
        assert_eq!(money(&pool.get().unwrap()), 5, "what was written is kept");
        assert_no_leaks(&pool);
    }
}

fn a_database_that_a_holder_loads_in_place_of_an_attached_one_goes_too() {
    let (database, other) = (Database::new(), Database::new());
    let attach = format!("ATTACH '{}' AS other", other.path.display());
    let pool = one(database.manager().with_init(move |conn| conn.execute_batch(&attach)));
    let of_other = |conn: &rusqlite::Connection| -> i64 {
        conn.query_row("SELECT money FROM other.account", [], |row| row.get(0)).unwrap()
    };
    let mut conn = pool.get().unwrap();
    conn.deserialize_bytes("other", image()).unwrap();
    assert_eq!(of_other(&conn), 666);
    drop(conn);
    assert_eq!(of_other(&pool.get().unwrap()), 0);
}

fn a_file_control_that_sets_something_costs_the_connection_and_one_that_asks_does_not() {
    let database = Database::new();
    let pool = one(database.manager());
    let (mut on, mut asked, mut size, mut hint, mut version) = (1, -1, 1 << 20, 1 << 16, 0);
    let controls = [
        (FileControl::PersistWal(&mut on), true),
        (FileControl::PersistWal(&mut asked), false),
        (FileControl::ChunkSize(&mut size), true),
        (FileControl::SizeHint(&mut hint), false),
        (FileControl::DataVersion(&mut version), false),
    ];
    for (control, costs) in controls {
        let what = format!("{control:?}");
        let conn = pool.get().unwrap();
        let id = PooledConnection::id(&conn);
        conn.file_control(Some("main"), control).unwrap();
        drop(conn);
        assert_eq!(PooledConnection::id(&pool.get().unwrap()) != id, costs, "{what}");
    }
}

fn a_pragma_of_another_database_than_main_costs_the_connection() {
    let (database, other) = (Database::new(), Database::new());
    let attach = format!("ATTACH '{}' AS other", other.path.display());
    let pool = one(database.manager().with_init(move |conn| conn.execute_batch(&attach)));
    let ways = [
        "temp.journal_mode = off",
        "temp.journal_size_limit = 7",
        "TEMP.cache_size = 7",
        "\"temp\".cache_size(7)",
        "other.synchronous = off",
        "other.cache_spill = 9",
        "other.journal_mode = memory",
    ];
    for way in ways {
        let conn = pool.get().unwrap();
        let id = PooledConnection::id(&conn);
        conn.execute_batch(&format!("PRAGMA {way}")).unwrap();
        drop(conn);
        assert_ne!(PooledConnection::id(&pool.get().unwrap()), id, "{way}");
    }
    assert_eq!(pool.stats().closed.by(CloseReason::BeyondReset), ways.len() as u64);

    let (conn, id) = (pool.get().unwrap(), ways.len() as u64 + 1);
    conn.execute_batch("PRAGMA main.cache_size = 7; PRAGMA other.cache_size; PRAGMA temp.table_info('none')").unwrap();
    drop(conn);
    assert_eq!(PooledConnection::id(&pool.get().unwrap()), id, "what is read, or is put back, costs no connection");
}

fn memory_that_was_loaded_from_a_file_in_wal_mode_can_be_used() {
    let database = Database::new();
    let file = database.manager().open().unwrap();
    file.execute("UPDATE account SET money = 7", []).unwrap();
    assert_eq!(setting(&file, "journal_mode"), "wal");
    for check_after in [Duration::ZERO, Duration::from_secs(60)] {
        let builder = Pool::builder().max_size(3).check_after(check_after);
        let pool = builder.build(SqliteManager::memory()).unwrap();
        let held: Vec<_> = (0..2).map(|_| pool.get().unwrap()).collect();
        let mut conn = pool.get().unwrap();
        Backup::new(&file, &mut conn).unwrap().run_to_completion(100, Duration::ZERO, None).unwrap();
        drop(conn);

        assert_eq!(money(&pool.get().unwrap()), 7);
        for conn in held {
            assert_eq!(money(&conn), 7, "those that were lent meanwhile go on");
            conn.execute("UPDATE account SET money = money", []).unwrap();
        }
        assert_no_leaks(&pool);
        pool.evict_all();
        assert_eq!(money(&pool.get().unwrap()), 7, "new ones too");
    }
    // Loaded outside of any pool, before one exists.
    let manager = SqliteManager::memory();
    let mut conn = manager.open().unwrap();
    Backup::new(&file, &mut conn).unwrap().run_to_completion(100, Duration::ZERO, None).unwrap();
    assert_eq!(money(&one(manager).get().unwrap()), 7);
}

fn a_leaked_blob_or_backup_costs_its_connection() {
    let soils: [(&str, fn(&mut Connection)); 2] = [
        ("a blob", |conn| {
            conn.execute_batch("CREATE TABLE b (b); INSERT INTO b VALUES (zeroblob(9))").unwrap();
            std::mem::forget(conn.blob_open("main", "b", "b", 1, true).unwrap());
        }),
        ("a backup", |conn| {
            let from = Box::leak(Box::new(rusqlite::Connection::open_in_memory().unwrap()));
            from.execute_batch("CREATE TABLE a (a); INSERT INTO a VALUES (zeroblob(100000))").unwrap();
            let backup = Backup::new(from, conn).unwrap();
            backup.step(1).unwrap();
            std::mem::forget(backup);
        }),
    ];
    for (name, soil) in soils {
        let database = Database::new();
        let manager = database.manager().busy_timeout(Duration::ZERO);
        let pool = one(manager.clone());
        let mut conn = pool.get().unwrap();
        let id = PooledConnection::id(&conn);
        soil(&mut conn);
        assert_eq!(manager.session(&mut conn), SessionState::Unknown, "{name}");
        drop(conn);
        let conn = pool.get().unwrap();
        assert_ne!(PooledConnection::id(&conn), id, "{name}");
        assert_eq!(money(&conn), 0, "{name}");
    }
}

/// Like an application that does so in each loan. The pool keeps treating the file as healthy: a single pause would outlast every
/// waiter.
fn a_holder_who_leaves_such_things_each_time_is_served() {
    let image = image();
    let soils: [&dyn Fn(&mut Connection); 4] = [
        &|conn| conn.deserialize_bytes("main", image).unwrap(),
        &|conn| conn.execute_batch("PRAGMA secure_delete = 1").unwrap(),
        &|conn| conn.execute_batch("PRAGMA secure_delete = 1; BEGIN").unwrap(),
        &|conn| {
            let mut statement = conn.prepare("SELECT 1 UNION SELECT 2").unwrap();
            let mut rows = statement.query([]).unwrap();
            rows.next().unwrap().unwrap();
            std::mem::forget(rows);
            std::mem::forget(statement);
        },
    ];
    for (number, soil) in soils.iter().enumerate() {
        let (database, recorder) = (Database::new(), Recorder::new());
        let pause = Duration::from_secs(600);
        let settings = Pool::builder().max_size(1).backoff(pause, pause).event_handler(recorder.clone());
        let pool = settings.build(database.manager()).unwrap();
        for _ in 0..50 {
            let mut conn = pool.get().unwrap_or_else(|error| panic!("{number}: {error:?}"));
            assert_eq!(money(&conn), 0, "{number}");
            soil(&mut conn);
        }
        eventually("all have said goodbye", || recorder.count("closed") == 50);
        let stats = pool.stats();
        assert_eq!(
            (stats.closed.by(CloseReason::BeyondReset), stats.resets_failed, stats.open_failures),
            (50, 0, 0),
            "{number}"
        );
        let failed = |line: &&String| line.starts_with("reset") && !line.ends_with(": ok");
        assert_eq!(recorder.events().iter().find(failed), None, "{number}");
    }
}

fn each_switch_and_limit_of_the_driver_is_as_it_was() {
    let configs = [
        DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
        DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
        DbConfig::SQLITE_DBCONFIG_LEGACY_FILE_FORMAT,
        DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
        DbConfig::SQLITE_DBCONFIG_REVERSE_SCANORDER,
        DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE,
        DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE,
        DbConfig::SQLITE_DBCONFIG_ENABLE_COMMENTS,
        DbConfig::SQLITE_DBCONFIG_STMT_SCANSTATUS,
    ];
    let database = Database::new();
    let pool = database.pool(1);
    for config in configs {
        let conn = pool.get().unwrap();
        let was = conn.db_config(config).unwrap();
        assert_eq!(conn.set_db_config(config, !was).unwrap(), !was, "{config:?}");
        drop(conn);
        assert_eq!(pool.get().unwrap().db_config(config).unwrap(), was, "{config:?}");
    }
    for limit in [Limit::SQLITE_LIMIT_COLUMN, Limit::SQLITE_LIMIT_WORKER_THREADS, Limit::SQLITE_LIMIT_PARSER_DEPTH] {
        let conn = pool.get().unwrap();
        let was = conn.limit(limit).unwrap();
        conn.set_limit(limit, was + 1).unwrap();
        conn.set_limit(limit, 7.min(was / 2)).unwrap();
        drop(conn);
        assert_eq!(pool.get().unwrap().limit(limit).unwrap(), was, "{limit:?}");
    }
}

fn the_number_of_the_last_row_does_not_reach_the_next_holder_and_costs_no_reset() {
    let database = Database::new();
    let pool = database.pool(1);
    for id in 2..7 {
        let conn = pool.get().unwrap();
        assert_eq!(conn.last_insert_rowid(), 0);
        let of_sql: i64 = conn.query_row("SELECT last_insert_rowid()", [], |row| row.get(0)).unwrap();
        assert_eq!(of_sql, 0);
        conn.execute("INSERT INTO account VALUES (?1, 0)", [id]).unwrap();
        assert_eq!(conn.last_insert_rowid(), id);
    }
    assert_eq!((pool.stats().resets_skipped, pool.stats().resets_done), (5, 0));
    let conn = pool.get().unwrap();
    conn.execute_batch("PRAGMA query_only = 0; INSERT INTO account VALUES (9, 0)").unwrap();
    drop(conn);
    assert_eq!(pool.get().unwrap().last_insert_rowid(), 0, "after a reset");

    let of_on_open =
        Pool::builder().on_open(|conn, _| conn.execute("INSERT INTO account VALUES (NULL, 0)", []).map(drop));
    assert_eq!(of_on_open.build(database.manager()).unwrap().get().unwrap().last_insert_rowid(), 0, "of on_open");
}

type Set = fn(&Connection, &str) -> rusqlite::Result<()>;

fn what_holds_for_the_whole_process_is_refused_in_a_loan_and_not_in_init() {
    let database = Database::new();
    let pool = one(database.manager().with_init(|conn| conn.query_row("PRAGMA soft_heap_limit = 0", [], |_| Ok(()))));
    let before = session_of(&pool.get().unwrap());
    let roads: [Set; 6] = [
        |conn, name| conn.execute_batch(&format!("SELECT 1; PRAGMA {name}(1000000)")),
        |conn, name| conn.execute(&format!("PRAGMA main.{} = 1000000", name.to_uppercase()), []).map(drop),
        |conn, name| conn.query_row(&format!("PRAGMA {name} = 1000000"), [], |_| Ok(())),
        |conn, name| conn.pragma_update(None, name, 1_000_000),
        |conn, name| conn.pragma_update_and_check(None, name, 1_000_000, |_| Ok(())),
        // SQLite's own message.
        |conn, name| conn.prepare(&format!("PRAGMA {name} = 1000000")).map(drop),
    ];
    for name in ["hard_heap_limit", "soft_heap_limit", "temp_store_directory", "data_store_directory"] {
        for (road, set) in roads.iter().enumerate() {
            let conn = pool.get().unwrap();
            let error = set(&conn, name).expect_err(name);
            assert_eq!(error.sqlite_error_code(), Some(ErrorCode::AuthorizationForStatementDenied), "{name}: {error}");
            let error = error.to_string();
            assert!(error.contains("not authorized"), "{name}: {error}");
            assert_eq!(error.contains(name) && error.contains("with_init"), road < 5, "{name}, {road}: {error}");
        }
    }
    let conn = pool.get().unwrap();
    assert_eq!((setting(&conn, "hard_heap_limit"), setting(&conn, "soft_heap_limit")), ("0".into(), "0".into()));
    assert_eq!((session_of(&conn), pool.stats().opened), (before, 1));
}

fn what_the_users_authorizer_refuses_is_no_pragma_of_ours() {
    let database = Database::new();
    let pool = one(database.manager().authorizer(|context| match context.action {
        AuthAction::Delete { .. } => Authorization::Deny,
        _ => Authorization::Allow,
    }));
    let conn = pool.get().unwrap();
    conn.prepare("PRAGMA hard_heap_limit = 1000000").unwrap_err();
    let error = conn.execute("DELETE FROM account", []).unwrap_err().to_string();
    assert!(error.contains("not authorized") && !error.contains("hard_heap_limit"), "{error}");
}

cabrank_testing::tests! {
    alone:
        a_database_that_a_holder_loads_in_place_of_the_pools_goes_with_its_loan,
        a_database_that_a_holder_loads_in_place_of_an_attached_one_goes_too,
        a_file_control_that_sets_something_costs_the_connection_and_one_that_asks_does_not,
        a_pragma_of_another_database_than_main_costs_the_connection,
        memory_that_was_loaded_from_a_file_in_wal_mode_can_be_used,
        a_leaked_blob_or_backup_costs_its_connection,
        a_holder_who_leaves_such_things_each_time_is_served,
        each_switch_and_limit_of_the_driver_is_as_it_was,
        the_number_of_the_last_row_does_not_reach_the_next_holder_and_costs_no_reset,
        what_holds_for_the_whole_process_is_refused_in_a_loan_and_not_in_init,
        what_the_users_authorizer_refuses_is_no_pragma_of_ours,
}
