//! A database file in a temporary directory, and a snapshot of a session's state.

use cabrank_sqlite::cabrank::{Fault, Manager};
use cabrank_sqlite::rusqlite::config::DbConfig;
use cabrank_sqlite::rusqlite::limits::Limit;
use cabrank_sqlite::rusqlite::types::Value;
use cabrank_sqlite::{Pool, SqliteManager, rusqlite};
use std::path::PathBuf;
use tempfile::TempDir;

/// A file with the table `account(id, money)` and one row, `(1, 0)`. Deleted when dropped.
pub(crate) struct Database {
    pub(crate) directory: TempDir,
    pub(crate) path: PathBuf,
}

impl Database {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("test.db");
        let database = Self { directory, path };
        create_account(&database.manager().create(true).open().expect("a new file"));
        database
    }

    pub(crate) fn manager(&self) -> SqliteManager {
        SqliteManager::file(&self.path)
    }

    pub(crate) fn pool(&self, max_size: u32) -> Pool {
        Pool::builder().max_size(max_size).build(self.manager()).expect("a pool")
    }
}

pub(crate) fn create_account(conn: &rusqlite::Connection) {
    conn.execute_batch(
        "CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER NOT NULL); INSERT INTO account VALUES (1, 0)",
    )
    .expect("a table");
}

pub(crate) fn money(conn: &rusqlite::Connection) -> i64 {
    conn.query_row("SELECT money FROM account WHERE id = 1", [], |row| row.get(0)).expect("the one account")
}

/// The value of a pragma, as text.
pub(crate) fn setting(conn: &rusqlite::Connection, name: &str) -> String {
    match conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).expect(name) {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text,
        other => panic!("{name} is {other:?}"),
    }
}

/// The message of a refused opening, which must be a permanent fault.
pub(crate) fn refusal(manager: SqliteManager) -> String {
    let error = manager.open().expect_err("an opening that must fail");
    assert_eq!(manager.fault(&error), Fault::Permanent, "{error}");
    error.to_string()
}

/// Everything about a session that can be queried, as lines to compare.
pub(crate) fn session_of(conn: &rusqlite::Connection) -> Vec<String> {
    let mut lines = vec![format!("autocommit {}", conn.is_autocommit()), format!("busy {}", conn.is_busy())];
    for name in PRAGMAS {
        let value: Option<Value> = conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).ok();
        lines.push(format!("{name} {value:?}"));
    }
    let mut list = |sql: &str| {
        let mut statement = conn.prepare(sql).expect("a list");
        let found = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
        lines.extend(found.map(|line| line.expect("a line")));
    };
    list("SELECT 'temporary ' || type || ' ' || name FROM sqlite_temp_master");
    list("SELECT 'database ' || name || ' ' || file FROM pragma_database_list WHERE name <> 'temp'");
    for config in [DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, DbConfig::SQLITE_DBCONFIG_DEFENSIVE] {
        lines.push(format!("{config:?} {:?}", conn.db_config(config)));
    }
    lines.push(format!("limit {:?}", conn.limit(Limit::SQLITE_LIMIT_COLUMN)));
    lines
}

const PRAGMAS: [&str; 28] = [
    "analysis_limit",
    "automatic_index",
    "busy_timeout",
    "cache_size",
    "cache_spill",
    "cell_size_check",
    "checkpoint_fullfsync",
    "defer_foreign_keys",
    "foreign_keys",
    "full_column_names",
    "fullfsync",
    "ignore_check_constraints",
    "journal_mode",
    "journal_size_limit",
    "legacy_alter_table",
    "locking_mode",
    "max_page_count",
    "query_only",
    "read_uncommitted",
    "recursive_triggers",
    "reverse_unordered_selects",
    "secure_delete",
    "short_column_names",
    "synchronous",
    "temp_store",
    "threads",
    "trusted_schema",
    "wal_autocheckpoint",
];
