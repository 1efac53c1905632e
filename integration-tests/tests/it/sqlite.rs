//! SQLite with `cabrank-sqlite`, on a file of its own for each test.

use crate::subject::Subject;
use crate::watch::Watch;
use cabrank_sqlite::{Connection, SqliteManager, Transaction, TransactionMode, rusqlite};
use integration_tests::{Engine, skip};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

pub(crate) struct Sqlite {
    _directory: TempDir,
    path: PathBuf,
}

impl Subject for Sqlite {
    const ENGINE: Engine = Engine::Sqlite;

    const DIRT: &'static [(&'static str, &'static str)] = &[
        ("PRAGMA cache_size = 123", "PRAGMA cache_size"),
        ("PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys"),
        ("PRAGMA query_only = ON", "PRAGMA query_only"),
        ("CREATE TEMP TABLE left_over (x)", "SELECT count(*) FROM sqlite_temp_schema"),
        ("CREATE TEMP TABLE left_over AS SELECT 1 AS x", "SELECT count(*) FROM sqlite_temp_schema"),
        ("ATTACH ':memory:' AS other", "SELECT count(*) FROM pragma_database_list WHERE name <> 'temp'"),
    ];

    const ENDLESS: &'static str =
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";

    type Manager = SqliteManager;

    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().canonicalize().expect("it is there").join("cabrank_test.db");
        let subject = Self { _directory: directory, path };
        let conn = subject.manager().create(true).open().expect("a new file");
        let table = "CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER NOT NULL);";
        conn.execute_batch(&format!("{table} INSERT INTO account VALUES (1, 0)")).expect("a table");
        subject
    }

    fn manager(&self) -> SqliteManager {
        SqliteManager::file(&self.path)
    }

    fn execute(conn: &mut Connection, sql: &str) -> rusqlite::Result<()> {
        conn.execute_batch(sql)
    }

    fn number(conn: &mut Connection, sql: &str) -> rusqlite::Result<i64> {
        conn.query_row(sql, [], |row| row.get(0))
    }

    fn execute_in(transaction: &mut Transaction<'_>, sql: &str) -> rusqlite::Result<()> {
        transaction.execute_batch(sql)
    }

    fn number_in(transaction: &mut Transaction<'_>, sql: &str) -> rusqlite::Result<i64> {
        transaction.query_row(sql, [], |row| row.get(0))
    }

    fn serializable() -> TransactionMode {
        TransactionMode::Deferred
    }

    fn watch(&self) -> Option<&Watch> {
        None
    }

    /// There is no server to ask, but the system lists open files. Each session has the log open once; the database file itself stays
    /// open after a session until the last lock on it is released.
    fn sessions(&self) -> usize {
        let Ok(descriptors) = fs::read_dir("/proc/self/fd") else { skip("this system does not list open files") };
        let log = self.path.with_extension("db-wal");
        let open = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        open.filter(|path| *path == log).count()
    }
}
