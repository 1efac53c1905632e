//! The state of a session at its opening, to be restored by each reset.
//!
//! Owns the list of what can be restored. Independent of holders and of when a reset is due.

use crate::pragmas::SETTINGS;
use crate::watch::Trace;
use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OptionalExtension};
use std::mem::discriminant;
use std::time::Duration;

/// The settings of one connection after `with_init` and the manager's own pragmas. Reading them costs some 10 us at each opening.
#[derive(Debug)]
pub(crate) struct Baseline {
    /// In the order of [`SETTINGS`]; `None` if this build of SQLite, or this kind of database, has no value.
    pragmas: Vec<Option<i64>>,
    /// In milliseconds. Zero may also mean a busy handler of `with_init`, which cannot be queried.
    busy_timeout: i64,
    /// In pages. Zero may also mean a WAL hook of `with_init`.
    wal_autocheckpoint: Option<i64>,
    journal_mode: String,
    configs: Vec<Option<bool>>,
    limits: Vec<Option<i32>>,
    databases: Vec<Database>,
}

impl Baseline {
    pub(crate) fn read(conn: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            pragmas: SETTINGS.iter().map(|(name, _)| pragma(conn, name)).collect::<rusqlite::Result<_>>()?,
            busy_timeout: busy_timeout(conn)?,
            wal_autocheckpoint: pragma(conn, "wal_autocheckpoint")?,
            journal_mode: journal_mode(conn)?,
            configs: CONFIGS.iter().map(|config| conn.db_config(*config).ok()).collect(),
            limits: LIMITS.iter().map(|limit| conn.limit(*limit).ok()).collect(),
            databases: databases(conn)?,
        })
    }

    /// Restores what only the driver's methods can change. Runs first, because a limit or a disabled feature might stop the SQL of the
    /// next steps. Writes only differences: a change would make every statement be prepared again.
    pub(crate) fn restore_driver_settings(&self, conn: &Connection) -> rusqlite::Result<()> {
        for (limit, was) in LIMITS.iter().zip(&self.limits) {
            if let Some(was) = *was {
                conn.set_limit(*limit, was)?;
            }
        }
        for (config, was) in CONFIGS.iter().zip(&self.configs) {
            if let Some(was) = *was
                && conn.db_config(*config)? != was
            {
                conn.set_db_config(*config, was)?;
            }
        }
        Ok(())
    }

    /// Restores the busy time-out. Returns whether that is possible.
    pub(crate) fn restore_busy_timeout(&self, conn: &Connection, traces: Trace) -> rusqlite::Result<bool> {
        if self.busy_timeout > 0 {
            conn.busy_timeout(Duration::from_millis(self.busy_timeout.unsigned_abs()))?;
            return Ok(true);
        }
        Ok(!traces.has(Trace::BUSY) && busy_timeout(conn)? == 0)
    }

    /// Restores automatic checkpoints in place of any WAL hook (to SQLite a WAL hook and automatic checkpoints are one thing: clearing
    /// the hook would disable them). Returns whether that is possible.
    pub(crate) fn restore_checkpoints(&self, conn: &mut Connection, traces: Trace) -> rusqlite::Result<bool> {
        match self.wal_autocheckpoint {
            None => Ok(true),
            Some(0) => Ok(!traces.has(Trace::CHECKPOINTS) && pragma(conn, "wal_autocheckpoint")? == Some(0)),
            Some(pages) => {
                if traces.has(Trace::CHECKPOINTS) {
                    // The pragma replaces the hook, but rusqlite would keep the hook's data.
                    conn.wal_hook(None::<fn(&mut Wal, i32) -> rusqlite::Result<()>>)?;
                }
                set_pragma(conn, "wal_autocheckpoint", pages).map(|()| true)
            }
        }
    }

    /// Restores the pragmas in `traces`.
    pub(crate) fn restore_pragmas(&self, conn: &Connection, traces: Trace) -> rusqlite::Result<()> {
        for (row, ((name, _), was)) in SETTINGS.iter().zip(&self.pragmas).enumerate() {
            if let Some(was) = *was
                && traces.has(Trace::pragma(row))
            {
                set_pragma(conn, name, was)?;
            }
        }
        Ok(())
    }

    /// Whether the journal mode is unchanged. It is never restored, which would need exclusive access to the file.
    pub(crate) fn has_journal_mode_of(&self, conn: &Connection) -> rusqlite::Result<bool> {
        Ok(journal_mode(conn)? == self.journal_mode)
    }

    /// Detaches databases that were attached since. Returns whether all original ones are still there: a holder can detach a database, or
    /// replace it by another, `main` too.
    pub(crate) fn restore_databases(&self, conn: &Connection) -> rusqlite::Result<bool> {
        for Database { name, .. } in databases(conn)? {
            if !self.databases.iter().any(|known| known.name == name) {
                conn.execute_batch(&format!("DETACH {}", quoted(&name)))?;
            }
        }
        // A memory database cannot be distinguished from another.
        Ok(databases(conn)? == self.databases && self.databases.iter().all(|database| !database.file.is_empty()))
    }
}

/// A database of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Database {
    name: String,
    /// Empty for a memory database.
    file: String,
}

/// Whether `config` can be restored.
pub(crate) fn restores_config(config: DbConfig) -> bool {
    CONFIGS.iter().any(|known| discriminant(known) == discriminant(&config))
}

/// Whether `limit` can be restored.
pub(crate) fn restores_limit(limit: Limit) -> bool {
    LIMITS.iter().any(|known| discriminant(known) == discriminant(&limit))
}

/// Drops the whole `temp` schema at once. `temp_store` must be restored afterwards.
pub(crate) fn drop_temporary(conn: &Connection) -> rusqlite::Result<()> {
    const IN_FILE: i64 = 1;
    const IN_MEMORY: i64 = 2;
    // To change its place, SQLite closes the temporary database. Dropping each object takes time that grows with the square of their
    // number, and leaves some of SQLite's own.
    let elsewhere = if pragma(conn, "temp_store")? == Some(IN_MEMORY) { IN_FILE } else { IN_MEMORY };
    set_pragma(conn, "temp_store", elsewhere)
}

/// The current journal mode, in lower case.
pub(crate) fn journal_mode(conn: &Connection) -> rusqlite::Result<String> {
    conn.query_row("PRAGMA journal_mode", [], |row| row.get(0))
}

/// Reads the head of the file, which shows whether it is a database.
pub(crate) fn read_schema_version(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA schema_version", [], |_| Ok(()))
}

/// Accepts any duration, while rusqlite panics beyond 24 days.
pub(crate) fn set_busy_timeout(conn: &Connection, timeout: Duration) -> rusqlite::Result<()> {
    const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);
    conn.busy_timeout(timeout.min(LONGEST))
}

/// In milliseconds; zero for none, and for a busy handler.
pub(crate) fn busy_timeout(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA busy_timeout", [], |row| row.get(0))
}

fn pragma(conn: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).optional()
}

fn set_pragma(conn: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    conn.execute_batch(&format!("PRAGMA {name} = {value}"))
}

/// All databases of the connection except `temp`.
fn databases(conn: &Connection) -> rusqlite::Result<Vec<Database>> {
    conn.prepare("PRAGMA database_list")?
        .query_map([], |row| {
            Ok(Database { name: row.get(1)?, file: row.get::<_, Option<String>>(2)?.unwrap_or_default() })
        })?
        .filter(|found| !matches!(found, Ok(Database { name, .. }) if name == "temp"))
        .collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Those in each SQLite version that rusqlite supports.
const CONFIGS: [DbConfig; 15] = [
    DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY,
    DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
    DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER,
    DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
    DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG,
    DbConfig::SQLITE_DBCONFIG_TRIGGER_EQP,
    DbConfig::SQLITE_DBCONFIG_RESET_DATABASE,
    DbConfig::SQLITE_DBCONFIG_DEFENSIVE,
    DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA,
    DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE,
    DbConfig::SQLITE_DBCONFIG_DQS_DML,
    DbConfig::SQLITE_DBCONFIG_DQS_DDL,
    DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
    DbConfig::SQLITE_DBCONFIG_LEGACY_FILE_FORMAT,
    DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
];

const LIMITS: [Limit; 12] = [
    Limit::SQLITE_LIMIT_LENGTH,
    Limit::SQLITE_LIMIT_SQL_LENGTH,
    Limit::SQLITE_LIMIT_COLUMN,
    Limit::SQLITE_LIMIT_EXPR_DEPTH,
    Limit::SQLITE_LIMIT_COMPOUND_SELECT,
    Limit::SQLITE_LIMIT_VDBE_OP,
    Limit::SQLITE_LIMIT_FUNCTION_ARG,
    Limit::SQLITE_LIMIT_ATTACHED,
    Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH,
    Limit::SQLITE_LIMIT_VARIABLE_NUMBER,
    Limit::SQLITE_LIMIT_TRIGGER_DEPTH,
    Limit::SQLITE_LIMIT_WORKER_THREADS,
];
