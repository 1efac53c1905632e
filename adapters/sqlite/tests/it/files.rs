//! Files that are moved, replaced or deleted while a pool uses them.

use crate::fixture::{Database, money};
use crate::overruns::ENDLESS;
use cabrank_sqlite::cabrank::{CancelOutcome, Fault, Manager};
use cabrank_sqlite::rusqlite::functions::FunctionFlags;
use cabrank_sqlite::{Pool, PooledConnection, SqliteManager, rusqlite};
use cabrank_testing::harness::alone;
use cabrank_testing::{assert_closes_clean, assert_no_leaks};
#[cfg(unix)]
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;
#[cfg(unix)]
use std::{env, fs};

/// A pool of one that checks its connection before each loan.
fn checking(manager: SqliteManager) -> Pool {
    let builder = Pool::builder().max_size(1).check_after(Duration::ZERO).acquire_timeout(Duration::from_secs(5));
    builder.build(manager).expect("a pool")
}

/// Moves another database to `database`'s path. Its account holds 77.
#[cfg(unix)]
fn replace(database: &Database) {
    let other = Database::new();
    let conn = other.manager().open().unwrap();
    conn.execute("UPDATE account SET money = 77", []).unwrap();
    drop(conn);
    fs::rename(&other.path, &database.path).unwrap();
}

fn the_log_is_written_back_at_the_end_though_the_last_statement_was_interrupted() {
    let database = Database::new();
    let log = database.path.with_file_name(format!("{}-wal", database.path.file_name().unwrap().display()));
    let pool = Pool::builder().max_size(1).build(database.manager()).unwrap();
    let conn = pool.get().unwrap();
    conn.execute("UPDATE account SET money = 5", []).unwrap();
    assert!(log.exists());
    let canceller = PooledConnection::canceller(&conn).expect("each connection has one");
    let (began, begins) = channel();
    conn.create_scalar_function("began", 0, FunctionFlags::default(), move |_| Ok(began.send(()).is_ok())).unwrap();
    let cancelling = thread::spawn(move || {
        begins.recv().unwrap();
        canceller.cancel(Duration::from_secs(10))
    });
    conn.query_row(&ENDLESS.replacen("SELECT 1", "SELECT began()", 1), [], |_| Ok(())).unwrap_err();
    assert_eq!(cancelling.join().unwrap(), CancelOutcome::Asked);
    drop(conn);
    assert_closes_clean(&pool);
    assert!(!log.exists(), "what was written would be lost with the log");
}

#[cfg(unix)]
fn a_replaced_file_is_noticed_by_the_check() {
    let database = Database::new();
    let pool = checking(database.manager());
    assert_eq!(money(&pool.get().unwrap()), 0);
    replace(&database);
    assert_eq!(money(&pool.get().unwrap()), 77);
    assert_eq!(pool.stats().opened, 2);
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

#[cfg(unix)]
fn a_link_that_leads_elsewhere_is_noticed_by_the_check() {
    let (one, two) = (Database::new(), Database::new());
    two.manager().open().unwrap().execute("UPDATE account SET money = 77", []).unwrap();
    let link = one.directory.path().join("link.db");
    std::os::unix::fs::symlink(&one.path, &link).unwrap();
    let pool = checking(SqliteManager::file(&link));
    assert_eq!(money(&pool.get().unwrap()), 0);
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&two.path, &link).unwrap();
    assert_eq!(money(&pool.get().unwrap()), 77);
}

#[cfg(unix)]
fn a_deleted_file_fails_the_loan_and_names_the_file() {
    let database = Database::new();
    let pool = checking(database.manager());
    drop(pool.get().unwrap());
    fs::remove_file(&database.path).unwrap();
    let error = pool.get().map(drop).expect_err("no file, no connection");
    let mut told = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        told.push_str(&cause.to_string());
        source = cause.source();
    }
    assert!(told.contains("does not exist"), "{told}");
    assert!(!database.path.exists(), "nobody created it anew");
    assert_closes_clean(&pool);
}

fn an_untouched_file_passes_the_check() {
    let database = Database::new();
    let pool = checking(database.manager());
    for _ in 0..3 {
        assert_eq!(money(&pool.get().unwrap()), 0);
    }
    assert_eq!(pool.stats().opened, 1);
}

fn a_writer_that_locks_the_file_does_not_fail_the_check() {
    let database = Database::new();
    let mode = cabrank_sqlite::JournalMode::Delete;
    let pool = checking(database.manager().journal_mode(mode));
    drop(pool.get().unwrap());
    let writer = database.manager().journal_mode(mode).open().unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let conn = pool.get().unwrap();
    assert_eq!(pool.stats().opened, 1, "checked, and found well");
    let patience: i64 = conn.query_row("PRAGMA busy_timeout", [], |row| row.get(0)).unwrap();
    assert_eq!(patience, 5000, "the check leaves the busy time-out as it was");
}

fn a_moved_file_is_a_fatal_fault() {
    let database = Database::new();
    let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY_DBMOVED), None);
    assert_eq!(database.manager().fault(&error), Fault::Fatal);
}

fn a_pool_closed_in_good_order_leaves_nothing_but_the_file() {
    for _ in 0..30 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.db");
        let pool = Pool::builder().max_size(8).build(SqliteManager::file(&path).create(true)).unwrap();
        pool.get().unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        // All close at the same moment, and the last of them writes the log back.
        let held: Vec<_> = (0..8).map(|_| pool.get().unwrap()).collect();
        drop(held);
        assert!(pool.close_within(Duration::from_secs(10)).is_clean());
        let left: Vec<_> = directory.path().read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["app.db"]);
    }
}

/// In a separate process, because it uses up all file descriptors.
#[cfg(unix)]
fn want_of_file_descriptors_is_waited_out() {
    const CHILD: &str = "CABRANK_TEST_FEW_FILES";
    if env::var_os(CHILD).is_none() {
        let this = env::current_exe().expect("this program");
        let output = Command::new("sh")
            .args(["-c", "ulimit -n 64; exec \"$0\" --exact files::want_of_file_descriptors_is_waited_out"])
            .arg(this)
            .env(CHILD, "1")
            .output()
            .expect("a child");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let database = Database::new();
    let pool = Pool::builder().max_size(1).build_lazy(database.manager()).unwrap();
    let taken: Vec<_> = (0..1_000).map_while(|_| fs::File::open("/dev/null").ok()).collect();
    let error = pool.get_timeout(Duration::from_millis(300)).expect_err("no room for a file");
    drop(taken);
    assert!(error.is_timeout() && format!("{error:?}").contains("too many files"), "{error:?}");
    assert_eq!(money(&pool.get_timeout(Duration::from_secs(30)).expect("there is room again")), 0);
    assert_closes_clean(&pool);
}

cabrank_testing::tests! {
    alone:
        #[cfg(unix)]
        want_of_file_descriptors_is_waited_out,
        #[cfg(unix)]
        a_replaced_file_is_noticed_by_the_check,
        #[cfg(unix)]
        a_link_that_leads_elsewhere_is_noticed_by_the_check,
        #[cfg(unix)]
        a_deleted_file_fails_the_loan_and_names_the_file,
        an_untouched_file_passes_the_check,
        the_log_is_written_back_at_the_end_though_the_last_statement_was_interrupted,
        a_writer_that_locks_the_file_does_not_fail_the_check,
        a_moved_file_is_a_fatal_fault,
        a_pool_closed_in_good_order_leaves_nothing_but_the_file,
}
