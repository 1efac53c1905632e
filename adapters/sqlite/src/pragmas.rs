//! SQLite's pragmas: the effect of each, and whether SQLite accepted a value.
//!
//! Owns the lists. Independent of which code sets a pragma and when it is restored.

use crate::error::failure;
use rusqlite::types::Value;
use rusqlite::{Connection, Error, OptionalExtension, Result, ffi};

/// The lasting effect of `PRAGMA name = value` or `PRAGMA name(value)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    /// A setting of the connection: its row in [`SETTINGS`].
    Setting(usize),
    BusyTimeout,
    Checkpoints,
    JournalMode,
    /// It cannot be undone, or is unknown.
    Lasting,
}

pub(crate) fn effect(name: &str) -> Effect {
    if let Some(row) = SETTINGS.iter().position(|(known, _)| name.eq_ignore_ascii_case(known)) {
        return Effect::Setting(row);
    }
    match name.to_ascii_lowercase().as_str() {
        "busy_timeout" => Effect::BusyTimeout,
        "wal_autocheckpoint" => Effect::Checkpoints,
        "journal_mode" => Effect::JournalMode,
        "application_id" | "user_version" => Effect::Nothing,
        _ if is_an_action(name) => Effect::Nothing,
        _ => Effect::Lasting,
    }
}

/// Its index in [`OF_THE_PROCESS`].
pub(crate) fn place_in_process(name: &str) -> Option<usize> {
    OF_THE_PROCESS.iter().position(|known| name.eq_ignore_ascii_case(known))
}

/// Whether it is fixed when the header of a new file is written.
pub(crate) fn is_of_the_header(name: &str) -> bool {
    is_among(name, &["auto_vacuum", "encoding", "page_size"])
}

/// Sets a pragma, unless it has that value already. Refuses a name or a value that SQLite ignores silently.
pub(crate) fn set(conn: &Connection, name: &str, value: &str) -> Result<()> {
    let known = "SELECT count(*) FROM pragma_pragma_list WHERE name = ?1 COLLATE NOCASE";
    if conn.query_row(known, [name], |row| row.get::<_, u32>(0))? == 0 {
        return Err(failure(ffi::SQLITE_CANTOPEN, format!("SQLite has no pragma {name:?}; check .pragma(..)")));
    }
    let wanted = unquoted(value.trim());
    if is_an_action(name) {
        return write(conn, name, wanted);
    }
    let before = read(conn, name)?;
    if before.as_ref().is_some_and(|before| is_meant(name, wanted, before)) {
        return Ok(());
    }
    write(conn, name, wanted)?;
    match read(conn, name)? {
        // Some cannot be queried. All of these are switches.
        None if number_of(name, wanted).is_some() => Ok(()),
        Some(is) if is_meant(name, wanted, &is) => Ok(()),
        other => {
            let is = other.map_or_else(|| "no answer".to_owned(), |is| shown(&is));
            let why = format!("the pragma {name} reads back as {is} instead of {wanted}; check .pragma(..)");
            Err(failure(ffi::SQLITE_CANTOPEN, why))
        }
    }
}

fn read(conn: &Connection, name: &str) -> Result<Option<Value>> {
    conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).optional()
}

fn write(conn: &Connection, name: &str, value: &str) -> Result<()> {
    // Some return the value that they set.
    match conn.pragma_update_and_check(None, name, value, |_| Ok(())) {
        Err(Error::QueryReturnedNoRows) => Ok(()),
        other => other,
    }
}

/// Whether `value`, SQLite's answer, means `wanted`.
fn is_meant(name: &str, wanted: &str, value: &Value) -> bool {
    let value = match value {
        Value::Integer(value) => *value,
        Value::Text(value) if name.eq_ignore_ascii_case("encoding") => return is_same_encoding(wanted, value),
        Value::Text(value) => return wanted.eq_ignore_ascii_case(value),
        _ => return false,
    };
    let Some(wanted) = number_of(name, wanted) else { return false };
    match name.to_ascii_lowercase().as_str() {
        // When on, it returns a number of pages.
        "cache_spill" => (wanted == 0) == (value == 0),
        // These have a compile-time maximum.
        "mmap_size" | "threads" => value == wanted || (0 < value && value < wanted),
        // All negative numbers mean the same.
        "journal_size_limit" => value == wanted.max(-1),
        "busy_timeout" | "wal_autocheckpoint" => value == wanted.max(0),
        _ => value == wanted,
    }
}

/// The number that a value means. `None` for words that SQLite would silently misread.
fn number_of(name: &str, value: &str) -> Option<i64> {
    let word = value.to_ascii_lowercase();
    let number = match (name.to_ascii_lowercase().as_str(), word.as_str()) {
        ("auto_vacuum", "none") | ("synchronous", "off") | ("temp_store", "default") => 0,
        ("auto_vacuum", "full") | ("synchronous", "normal") | ("temp_store", "file") => 1,
        ("auto_vacuum", "incremental") | ("synchronous", "full") | ("temp_store", "memory") => 2,
        ("secure_delete", "fast") => 2,
        ("synchronous", "extra") => 3,
        ("auto_vacuum" | "synchronous" | "temp_store", _) => return word.parse().ok(),
        (_, "on" | "yes" | "true") => 1,
        (_, "off" | "no" | "false") => 0,
        _ => match word.strip_prefix("0x") {
            Some(digits) => return i64::from_str_radix(digits, 16).ok(),
            None => return word.parse().ok(),
        },
    };
    Some(number)
}

/// `UTF-16` means this machine's byte order; hyphens are optional.
fn is_same_encoding(wanted: &str, is: &str) -> bool {
    let plain = |name: &str| name.replace('-', "").to_ascii_lowercase();
    let native = if cfg!(target_endian = "little") { "utf16le" } else { "utf16be" };
    match plain(wanted).as_str() {
        "utf16" => plain(is) == native,
        wanted => plain(is) == wanted,
    }
}

/// The driver quotes its arguments.
fn unquoted(value: &str) -> &str {
    let within = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    within('\'').or_else(|| within('"')).unwrap_or(value)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// Takes a value, but only reports, or works on the file.
fn is_an_action(name: &str) -> bool {
    const ACTIONS: [&str; 13] = [
        "foreign_key_check",
        "foreign_key_list",
        "incremental_vacuum",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "optimize",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
        "wal_checkpoint",
    ];
    is_among(name, &ACTIONS)
}

fn is_among(name: &str, list: &[&str]) -> bool {
    list.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Pragmas that apply to all connections of the process.
pub(crate) const OF_THE_PROCESS: [&str; 4] =
    ["data_store_directory", "hard_heap_limit", "soft_heap_limit", "temp_store_directory"];

/// How long it may take to restore a pragma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undo {
    /// One memory write.
    Small,
    /// Frees or unmaps pages, or drops a temporary database.
    Large,
}

/// Per-connection pragmas whose answer is the number that sets them.
pub(crate) const SETTINGS: [(&str, Undo); 24] = [
    ("analysis_limit", Undo::Small),
    ("automatic_index", Undo::Small),
    ("cache_size", Undo::Large),
    ("cache_spill", Undo::Small),
    ("cell_size_check", Undo::Small),
    ("checkpoint_fullfsync", Undo::Small),
    ("defer_foreign_keys", Undo::Small),
    ("foreign_keys", Undo::Small),
    ("full_column_names", Undo::Small),
    ("fullfsync", Undo::Small),
    ("ignore_check_constraints", Undo::Small),
    ("journal_size_limit", Undo::Small),
    ("legacy_alter_table", Undo::Small),
    ("mmap_size", Undo::Large),
    ("query_only", Undo::Small),
    ("read_uncommitted", Undo::Small),
    ("recursive_triggers", Undo::Small),
    ("reverse_unordered_selects", Undo::Small),
    ("short_column_names", Undo::Small),
    ("synchronous", Undo::Small),
    ("temp_store", Undo::Large),
    ("threads", Undo::Small),
    ("trusted_schema", Undo::Small),
    ("writable_schema", Undo::Small),
];
