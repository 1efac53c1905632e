//! Opening: what is refused, the error messages, and the state of a new connection.

use crate::fixture::{Database, create_account, money, refusal, setting};
use cabrank_sqlite::rusqlite;
use cabrank_sqlite::rusqlite::OpenFlags;
use cabrank_sqlite::rusqlite::functions::FunctionFlags;
use cabrank_sqlite::rusqlite::types::Type;
use cabrank_sqlite::{JournalMode, Pool, SqliteManager};
use cabrank_testing::harness::{alone, skip};
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};
use std::{fs, thread};

fn assert_names(message: &str, path: &Path, remedy: &str) {
    assert!(message.contains(&path.display().to_string()), "{message:?} names the file");
    assert!(message.contains(remedy), "{message:?} says {remedy:?}");
}

fn a_missing_file_is_not_created_unless_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("slip.db");
    assert_names(&refusal(SqliteManager::file(&path)), &path, ".create(true)");
    assert!(!path.exists());

    SqliteManager::file(&path).create(true).open().expect("a new file");
    assert!(path.exists());
}

fn a_missing_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("no/such.db");
    let message = refusal(SqliteManager::file(&path).create(true));
    assert_names(&message, path.parent().unwrap(), "there is no directory");
}

fn a_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert_names(&refusal(SqliteManager::file(directory.path())), directory.path(), "is a directory");
}

fn a_file_that_is_no_database_is_found_out_when_it_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("garbage.db");
    fs::write(&path, [7; 9000]).unwrap();
    assert_names(&refusal(SqliteManager::file(&path)), &path, "is not an SQLite database");
    assert_names(&refusal(SqliteManager::file(&path).read_only()), &path, "is not an SQLite database");
}

fn what_would_give_each_connection_a_database_of_its_own_is_refused() {
    for name in [":memory:", "", "file:", "file::memory:", "file:x?mode=memory", "file:x?mode=memory&cache=shared"] {
        let message = refusal(SqliteManager::file(name).create(true));
        assert!(message.contains("SqliteManager::memory()"), "{name:?}: {message}");
    }
    let directory = tempfile::tempdir().unwrap();
    let flags = OpenFlags::default() | OpenFlags::SQLITE_OPEN_MEMORY;
    let message = refusal(SqliteManager::file(directory.path().join("x.db")).with_flags(flags));
    assert!(message.contains("SqliteManager::memory()"), "{message}");
}

#[cfg(unix)]
fn a_uri_that_leads_to_a_file_is_opened() {
    let database = Database::new();
    let conn = SqliteManager::file(format!("file:{}?mode=ro", database.path.display()))
        .journal_mode(JournalMode::AsFound)
        .open()
        .expect("a connection");
    assert_eq!(money(&conn), 0);
    conn.execute("UPDATE account SET money = 1", []).expect_err("a read-only connection");
}

fn a_directory_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut permissions = fs::metadata(directory.path()).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(directory.path(), permissions).unwrap();
    // The superuser may write anywhere; on Windows the attribute does not protect a directory.
    if fs::write(directory.path().join("probe"), "").is_ok() {
        skip("this user can write to a read-only directory");
    }
    let path = directory.path().join("new.db");
    assert_names(&refusal(SqliteManager::file(&path).create(true)), &path, "permissions");
}

fn a_new_connection_has_the_documented_settings() {
    let database = Database::new();
    let conn = database.manager().open().unwrap();
    assert_eq!(setting(&conn, "journal_mode"), "wal");
    assert_eq!(setting(&conn, "foreign_keys"), "1");
    assert_eq!(setting(&conn, "busy_timeout"), "5000");
    assert_eq!(setting(&conn, "query_only"), "0");
    assert_eq!(setting(&conn, "synchronous"), "2");
}

fn settings_can_be_chosen() {
    let database = Database::new();
    let conn = database
        .manager()
        .journal_mode(JournalMode::Truncate)
        .foreign_keys(false)
        .busy_timeout(Duration::from_millis(70))
        .query_only(true)
        .pragma("synchronous", "NORMAL")
        .pragma("journal_size_limit", 1234)
        .open()
        .unwrap();
    assert_eq!(setting(&conn, "journal_mode"), "truncate");
    assert_eq!(setting(&conn, "foreign_keys"), "0");
    assert_eq!(setting(&conn, "busy_timeout"), "70");
    assert_eq!(setting(&conn, "query_only"), "1");
    assert_eq!(setting(&conn, "synchronous"), "1");
    assert_eq!(setting(&conn, "journal_size_limit"), "1234");
}

fn a_busy_timeout_without_end_is_as_long_as_sqlite_can_count() {
    let conn = SqliteManager::memory().busy_timeout(Duration::MAX).open().unwrap();
    assert_eq!(setting(&conn, "busy_timeout"), i32::MAX.to_string());
}

fn a_read_only_connection_leaves_the_journal_mode_as_it_finds_it() {
    let database = Database::new();
    drop(database.manager().journal_mode(JournalMode::Delete).open().unwrap());
    let conn = database.manager().read_only().open().unwrap();
    assert_eq!(setting(&conn, "journal_mode"), "delete");
    conn.execute("UPDATE account SET money = 1", []).expect_err("a read-only connection");
}

fn a_memory_database_for_reading_only_cannot_be_written() {
    let manager = SqliteManager::memory();
    create_account(&manager.open().unwrap());
    let conn = manager.clone().read_only().open().unwrap();
    assert_eq!(money(&conn), 0);
    conn.execute("UPDATE account SET money = 1", []).expect_err("a read-only connection");
}

fn init_runs_before_anything_is_read_or_set() {
    let database = Database::new();
    let manager = database.manager().with_init(|conn| {
        assert_eq!(setting(conn, "synchronous"), "2");
        conn.execute_batch("PRAGMA cache_size = 77; PRAGMA synchronous = OFF")
    });
    let conn = manager.pragma("synchronous", "EXTRA").open().unwrap();
    assert_eq!(setting(&conn, "cache_size"), "77");
    assert_eq!(setting(&conn, "synchronous"), "3", "the manager's pragma comes after");
}

fn an_init_that_fails_or_begins_a_transaction_fails_the_opening() {
    let database = Database::new();
    let error = database.manager().with_init(|conn| conn.execute_batch("no SQL")).open().unwrap_err();
    assert!(error.to_string().contains("syntax error"), "{error}");
    let error = database.manager().with_init(|conn| conn.execute_batch("BEGIN")).open().unwrap_err();
    assert_names(&error.to_string(), &database.path, "left a transaction open");
}

fn connections_that_create_one_file_together_all_succeed() {
    // Setting the journal mode at the same moment fails at once with SQLITE_BUSY; some of these rounds hit it.
    for _ in 0..50 {
        let directory = tempfile::tempdir().unwrap();
        let manager = SqliteManager::file(directory.path().join("new.db")).create(true);
        let start = Barrier::new(8);
        thread::scope(|scope| {
            let open = || {
                start.wait();
                manager.open().map(|conn| setting(&conn, "journal_mode"))
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            for thread in threads {
                assert_eq!(thread.join().unwrap().expect("a connection"), "wal");
            }
        });
    }
}

fn a_manager_shows_no_key() {
    let manager = SqliteManager::file("x.db").pragma("key", "secret");
    assert!(!format!("{manager:?}").contains("secret"));
}

fn what_sqlite_will_never_open_is_refused_at_once_and_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none.db");
    for manager in
        [SqliteManager::file(&path).read_only().create(true), SqliteManager::file(&path).create(true).read_only()]
    {
        assert!(refusal(manager).contains(&path.display().to_string()));
    }
    assert!(!path.exists());
    assert!(refusal(SqliteManager::file("file:x?mode=bogus")).contains("mode=bogus"));
    assert!(refusal(SqliteManager::file("with\0nul.db")).contains("nul.db"));
}

fn a_pragma_that_does_not_exist_is_refused_by_name() {
    let database = Database::new();
    let message = refusal(database.manager().pragma("synchronus", "NORMAL"));
    assert!(message.contains("synchronus") && message.contains("no pragma"), "{message}");
}

fn a_url_of_another_library_makes_no_file_of_that_name() {
    let directory = tempfile::tempdir().unwrap();
    std::env::set_current_dir(directory.path()).unwrap();
    for name in [
        "sqlite:app.db",
        "sqlite://app.db",
        "sqlite:///app.db",
        "SQLITE3:app.db",
        "jdbc:sqlite:app.db",
        "FILE:app.db",
        "postgres://app",
    ] {
        let message = refusal(SqliteManager::file(name).create(true));
        assert!(message.contains(name) && message.contains("remove the part"), "{name}: {message}");
    }
    assert_eq!(directory.path().read_dir().unwrap().count(), 0, "nothing was created");
    SqliteManager::file("./sqlite:app.db").create(true).open().expect("a file whose name looks like that");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    assert!(refusal(SqliteManager::file("file:x").with_flags(flags)).contains("SQLITE_OPEN_URI"));
}

/// The first number of a query's answer.
fn first(conn: &rusqlite::Connection, sql: &str) -> rusqlite::Result<i32> {
    conn.query_row(sql, [], |row| row.get(0))
}

fn own_error() -> rusqlite::Error {
    rusqlite::Error::UserFunctionError("the key store is empty".into())
}

fn what_cannot_work_fails_the_building_of_a_pool_at_once() {
    let database = Database::new();
    let path = database.path.display();
    let file = || database.manager();
    let missing = || SqliteManager::file(format!("file:{path}.no?mode=rwc"));
    let cases: [(&str, SqliteManager); 17] = [
        ("rwc without create", missing()),
        ("rw without permission", SqliteManager::file(format!("file:{path}?mode=rw")).read_only()),
        ("an unknown file system", SqliteManager::file(format!("file:{path}?vfs=none"))),
        ("a syntax error", file().with_init(|conn| conn.execute_batch("no SQL"))),
        ("a missing table", file().with_init(|conn| conn.query_row("SELECT a FROM b", [], |_| Ok(())))),
        ("a missing module", file().with_init(|conn| conn.execute_batch("CREATE VIRTUAL TABLE v USING none(a)"))),
        ("a wrong method", file().with_init(|conn| conn.execute("PRAGMA journal_mode = DELETE", []).map(drop))),
        ("a wrong parameter", file().with_init(|conn| conn.execute("SELECT ?1", [1, 2]).map(drop))),
        ("an open transaction", file().with_init(|conn| conn.execute_batch("BEGIN"))),
        ("a violated constraint", file().with_init(|conn| conn.execute_batch("INSERT INTO account VALUES (1, 0)"))),
        (
            "a check",
            file().with_init(|conn| conn.execute_batch("CREATE TEMP TABLE c (a CHECK (a)); INSERT INTO c VALUES (0)")),
        ),
        ("a conversion", file().with_init(|conn| first(conn, "SELECT 'x'").map(drop))),
        ("a number out of range", file().with_init(|conn| first(conn, "SELECT 1 << 40").map(drop))),
        (
            "a function that fails",
            file().with_init(|conn| {
                conn.create_scalar_function("fails", 0, FunctionFlags::default(), |_| -> rusqlite::Result<i32> {
                    Err(own_error())
                })?;
                first(conn, "SELECT fails()").map(drop)
            }),
        ),
        ("an error of the user's own", file().with_init(|_| Err(own_error()))),
        (
            "a failed conversion of the user's own",
            file().with_init(|_| Err(rusqlite::Error::FromSqlConversionFailure(0, Type::Text, "no key".into()))),
        ),
        ("writing what is for reading", file().read_only().with_init(|conn| conn.execute_batch("CREATE TABLE t (a)"))),
    ];
    for (name, manager) in cases {
        let message = refusal(manager.clone());
        assert!(message.contains("test.db"), "{name} names the file: {message}");
        let started = Instant::now();
        Pool::builder().connect_timeout(Duration::from_secs(60)).build(manager).map(drop).expect_err(name);
        assert!(started.elapsed() < Duration::from_secs(30), "{name} was tried again");
    }
}

#[cfg(unix)]
fn a_wal_that_cannot_be_read_names_the_way_out() {
    let database = Database::new();
    // Stands for a directory that cannot be written, even by the superuser.
    std::os::unix::fs::symlink("nowhere", database.directory.path().join("test.db-shm")).unwrap();
    let message = refusal(database.manager().read_only());
    assert_names(&message, &database.path, "immutable=1");
    assert!(!message.contains(".read_only()"), "{message}");
    let immutable = SqliteManager::file(format!("file:{}?immutable=1", database.path.display())).read_only();
    assert_eq!(money(&immutable.open().unwrap()), 0);
}

cabrank_testing::tests! {
    alone:
        a_missing_file_is_not_created_unless_asked,
        a_missing_directory_is_named,
        a_directory_is_refused,
        a_file_that_is_no_database_is_found_out_when_it_is_opened,
        what_would_give_each_connection_a_database_of_its_own_is_refused,
        #[cfg(unix)]
        a_uri_that_leads_to_a_file_is_opened,
        a_directory_that_cannot_be_written_is_named,
        a_new_connection_has_the_documented_settings,
        settings_can_be_chosen,
        a_busy_timeout_without_end_is_as_long_as_sqlite_can_count,
        a_read_only_connection_leaves_the_journal_mode_as_it_finds_it,
        a_memory_database_for_reading_only_cannot_be_written,
        init_runs_before_anything_is_read_or_set,
        an_init_that_fails_or_begins_a_transaction_fails_the_opening,
        connections_that_create_one_file_together_all_succeed,
        a_manager_shows_no_key,
        what_sqlite_will_never_open_is_refused_at_once_and_by_name,
        a_pragma_that_does_not_exist_is_refused_by_name,
        a_url_of_another_library_makes_no_file_of_that_name,
        what_cannot_work_fails_the_building_of_a_pool_at_once,
        #[cfg(unix)]
        a_wal_that_cannot_be_read_names_the_way_out,
}
