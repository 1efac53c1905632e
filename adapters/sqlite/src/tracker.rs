//! Knows without asking whether a holder changed the session.
//!
//! SQLite calls the authorizer while it prepares a statement, so every `PRAGMA`, `ATTACH` and temporary object passes
//! through here before it can take effect: SQL has no other way to change a session. Owns the record, not the undoing.

use rusqlite::Connection;
use rusqlite::hooks::{Action, AuthAction, AuthContext, Authorization};
use std::fmt;
use std::ops::{BitOr, Not};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the holders of one connection have done to its session since the last reset.
pub(crate) struct Tracker {
    /// A set of [`Trace`]s. Shared with our hooks inside the driver, each of which keeps one reference: rusqlite
    /// drops a hook when it is replaced, so the number of references tells whether all of ours are still in place.
    traces: Arc<AtomicU64>,
}

impl Tracker {
    /// Starts watching `conn`, in place of whatever hooks it has. All its prepared statements are prepared anew when
    /// they next run.
    pub(crate) fn install(conn: &mut Connection) -> rusqlite::Result<Self> {
        let traces = Arc::new(AtomicU64::new(0));

        let seen = Arc::clone(&traces);
        conn.authorizer(Some(move |context: AuthContext<'_>| {
            let trace = trace_of(&context);
            if trace != Trace::NONE {
                seen.fetch_or(trace.0, Ordering::Relaxed);
            }
            Authorization::Allow
        }))?;
        // The other hooks do nothing; they are there to be missed. The progress handler is due after so many steps that
        // it never runs, and the one for rows costs some nanoseconds a row.
        let kept = Arc::clone(&traces);
        conn.commit_hook(Some(move || {
            let _ = &kept;
            false
        }))?;
        let kept = Arc::clone(&traces);
        conn.rollback_hook(Some(move || {
            let _ = &kept;
        }))?;
        let kept = Arc::clone(&traces);
        conn.progress_handler(
            i32::MAX,
            Some(move || {
                let _ = &kept;
                false
            }),
        )?;
        let kept = Arc::clone(&traces);
        conn.update_hook(Some(move |_: Action, _: &str, _: &str, _: i64| {
            let _ = &kept;
        }))?;
        Ok(Self { traces })
    }

    pub(crate) fn mark(&self, trace: Trace) {
        self.traces.fetch_or(trace.0, Ordering::Relaxed);
    }

    /// What was seen since [`forget`](Self::forget).
    pub(crate) fn traces(&self) -> Trace {
        Trace(self.traces.load(Ordering::Relaxed))
    }

    /// Everything seen so far has been undone.
    pub(crate) fn forget(&self) {
        self.traces.store(0, Ordering::Relaxed);
    }

    /// Is everything the holder did known? Not if a hook of its own has taken the place of one of ours.
    pub(crate) fn is_whole(&self) -> bool {
        Arc::strong_count(&self.traces) == 1 + HOOKS
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker").field("traces", &self.traces()).field("whole", &self.is_whole()).finish()
    }
}

/// A set of things done to a session. The low bits stand for the pragmas of [`PRAGMAS`], in its order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace(u64);

impl Trace {
    pub(crate) const NONE: Self = Self(0);
    /// A setting made through the driver's methods, which are always all put back.
    pub(crate) const SETTING: Self = Self(1 << 63);
    /// Something in the `temp` schema was created or dropped.
    pub(crate) const TEMPORARY: Self = Self(1 << 62);
    /// A database was attached or detached.
    pub(crate) const ATTACHED: Self = Self(1 << 61);
    /// The journal mode was set, perhaps to what it was.
    pub(crate) const JOURNAL: Self = Self(1 << 60);
    /// Something that cannot be undone: the connection must go.
    pub(crate) const LASTING: Self = Self(1 << 59);
    /// All that can be undone, for when nothing is known.
    pub(crate) const ANYTHING: Self = Self(!Self::LASTING.0);

    /// The pragma in this row of [`PRAGMAS`].
    pub(crate) const fn pragma(row: usize) -> Self {
        assert!(row < 59);
        Self(1 << row)
    }

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Trace {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Not for Trace {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

fn trace_of(context: &AuthContext<'_>) -> Trace {
    match context.action {
        AuthAction::Pragma { pragma_value: None, .. } => Trace::NONE,
        AuthAction::Pragma { pragma_name, .. } => trace_of_pragma(pragma_name),
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => Trace::ATTACHED,
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropTempView { .. } => Trace::TEMPORARY,
        AuthAction::Function { function_name } if function_name.eq_ignore_ascii_case("load_extension") => {
            Trace::LASTING
        }
        // `ATTACH` of an expression has no file name while it is prepared, and comes as this, with its code.
        AuthAction::Unknown { code: rusqlite::ffi::SQLITE_ATTACH | rusqlite::ffi::SQLITE_DETACH, .. } => {
            Trace::ATTACHED
        }
        AuthAction::Unknown { .. } => Trace::LASTING,
        AuthAction::Read { .. } | AuthAction::Select | AuthAction::Function { .. } => Trace::NONE,
        // Renaming a table looks through the temporary schema for mentions of it.
        AuthAction::Update { table_name: "sqlite_temp_master", .. } => Trace::NONE,
        // `CREATE TABLE temp.t` is not reported as a temporary table, but with the name of its schema.
        _ if context.database_name == Some("temp") => Trace::TEMPORARY,
        _ => Trace::NONE,
    }
}

/// What `PRAGMA name = value` or `PRAGMA name(value)` leaves behind.
fn trace_of_pragma(name: &str) -> Trace {
    if let Some(row) = PRAGMAS.iter().position(|known| name.eq_ignore_ascii_case(known)) {
        return Trace::pragma(row);
    }
    if ["busy_timeout", "wal_autocheckpoint"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return Trace::SETTING;
    }
    if name.eq_ignore_ascii_case("journal_mode") {
        return Trace::JOURNAL;
    }
    if ABOUT_THE_DATABASE.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return Trace::NONE;
    }
    Trace::LASTING
}

/// How many references our hooks hold.
const HOOKS: usize = 5;

/// Pragmas that take a value but change nothing of the session: they report, or work on the file.
const ABOUT_THE_DATABASE: [&str; 14] = [
    "application_id",
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
    "table_xinfo",
    "user_version",
    "wal_checkpoint",
];

/// Pragmas that belong to one connection and answer with the number that sets them.
pub(crate) const PRAGMAS: [&str; 24] = [
    "analysis_limit",
    "automatic_index",
    "cache_size",
    "cache_spill",
    "cell_size_check",
    "checkpoint_fullfsync",
    "defer_foreign_keys",
    "foreign_keys",
    "full_column_names",
    "fullfsync",
    "ignore_check_constraints",
    "journal_size_limit",
    "legacy_alter_table",
    "mmap_size",
    "query_only",
    "read_uncommitted",
    "recursive_triggers",
    "reverse_unordered_selects",
    "short_column_names",
    "synchronous",
    "temp_store",
    "threads",
    "trusted_schema",
    "writable_schema",
];
