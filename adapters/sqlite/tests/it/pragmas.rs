//! Pragmas of the manager: each takes effect, or is refused by name.

use crate::fixture::{Database, refusal, setting};
use cabrank_sqlite::{JournalMode, Pool, SqliteManager};
use cabrank_testing::harness::alone;

/// A file that does not exist yet.
fn new_file(directory: &tempfile::TempDir, name: &str) -> SqliteManager {
    SqliteManager::file(directory.path().join(name)).create(true)
}

fn what_is_fixed_in_the_head_of_a_file_takes_in_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let cases = [
        ("auto_vacuum", "INCREMENTAL", "2"),
        ("auto_vacuum", "full", "1"),
        ("page_size", "8192", "8192"),
        ("encoding", "'UTF-16le'", "UTF-16le"),
        ("encoding", "UTF16be", "UTF-16be"),
        ("application_id", "0x1234", "4660"),
        ("user_version", "7", "7"),
    ];
    for (row, (name, value, expected)) in cases.into_iter().enumerate() {
        for mode in [JournalMode::Wal, JournalMode::Delete] {
            let manager = new_file(&directory, &format!("{row}-{mode:?}")).journal_mode(mode).pragma(name, value);
            let pool =
                Pool::builder().max_size(2).build(manager.clone()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
            let (one, other) = (pool.get().unwrap(), pool.get().unwrap());
            one.execute_batch("CREATE TABLE t (a)").unwrap();
            assert_eq!((&*setting(&one, name), &*setting(&other, name)), (expected, expected), "{name} = {value}");
            drop((one, other));
            assert_eq!(setting(&manager.open().expect("the file that exists now"), name), expected);
        }
        let memory = SqliteManager::memory().pragma(name, value).open().expect("a memory database");
        memory.execute_batch("CREATE TABLE t (a)").unwrap();
        assert_eq!(setting(&memory, name), expected, "{name} = {value} in memory");
    }
}

fn what_is_fixed_in_the_head_of_an_existing_file_is_refused() {
    let database = Database::new();
    for (name, asked, got) in
        [("auto_vacuum", "FULL", "0"), ("page_size", "8192", "4096"), ("encoding", "UTF-16", "UTF-8")]
    {
        let message = refusal(database.manager().pragma(name, asked));
        for part in [name, asked, got, "test.db"] {
            assert!(message.contains(part), "{message:?} names {part}");
        }
    }
    database
        .manager()
        .pragma("page_size", 4096)
        .pragma("auto_vacuum", "none")
        .pragma("encoding", "utf-8")
        .open()
        .unwrap();
}

fn misspelt_values_are_refused() {
    let database = Database::new();
    for (name, value) in [
        ("synchronous", "NORMLA"),
        ("auto_vacuum", "incremantal"),
        ("temp_store", "RAM"),
        ("foreign_keys", "onn"),
        ("foreign_keys", "2"),
        ("cache_size", "8 MB"),
        ("cache_spill", "maybe"),
        ("case_sensitive_like", "yep"),
        ("locking_mode", "EXCLUSIV"),
        ("secure_delete", "quick"),
        ("journal_mode", "WALL"),
        ("page_size", "1000"),
        ("page_count", "3"),
        ("encoding", "latin1"),
    ] {
        let message = refusal(database.manager().pragma(name, value));
        assert!(message.to_lowercase().contains(&value.to_lowercase()) && message.contains(name), "{message}");
    }
}

fn every_other_spelling_that_sqlite_takes_is_accepted() {
    let database = Database::new();
    let mut manager = database.manager();
    for (name, value) in [
        ("analysis_limit", "100"),
        ("automatic_index", "off"),
        ("cache_size", "-8000"),
        ("cache_spill", "no"),
        ("cache_spill", "900"),
        ("case_sensitive_like", "TRUE"),
        ("cell_size_check", "yes"),
        ("foreign_keys", "'on'"),
        ("incremental_vacuum", "3"),
        ("journal_mode", " wal "),
        ("journal_size_limit", "-7"),
        ("locking_mode", "Normal"),
        ("max_page_count", "100000"),
        ("mmap_size", "30000000000"),
        ("optimize", "0x10002"),
        ("recursive_triggers", "1"),
        ("secure_delete", "fast"),
        ("synchronous", "2"),
        ("synchronous", "normal"),
        ("temp_store", "memory"),
        ("threads", "3"),
        ("trusted_schema", "false"),
        ("wal_autocheckpoint", "-1"),
        ("wal_checkpoint", "PASSIVE"),
    ] {
        manager = manager.pragma(name, value);
        manager.open().unwrap_or_else(|error| panic!("{name} = {value}: {error}"));
    }
}

fn a_value_that_holds_already_is_not_written_again() {
    let database = Database::new();
    let manager = database.manager().pragma("application_id", 7).pragma("user_version", 3);
    drop(manager.open().unwrap());
    // Neither can be written now.
    assert_eq!(setting(&manager.clone().read_only().open().unwrap(), "application_id"), "7");
    let writer = database.manager().open().unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    manager.busy_timeout(std::time::Duration::ZERO).open().expect("no lock is needed");
}

cabrank_testing::tests! {
    alone:
        what_is_fixed_in_the_head_of_a_file_takes_in_a_new_one,
        what_is_fixed_in_the_head_of_an_existing_file_is_refused,
        misspelt_values_are_refused,
        every_other_spelling_that_sqlite_takes_is_accepted,
        a_value_that_holds_already_is_not_written_again,
}
