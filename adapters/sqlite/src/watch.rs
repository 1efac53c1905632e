//! The record of one connection: its present user, and the changes to its session.
//!
//! Shared by the tracker and the hooks. Owns the meaning of reported actions for the session.

use crate::pragmas;
use crate::pragmas::{Effect, Undo};
use rusqlite::hooks::{AuthAction, AuthContext};
use std::fmt;
use std::ops::{BitOr, Not};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// The record. It begins in the phase [`Opening`](Phase::Opening).
#[derive(Default)]
pub(crate) struct Watch {
    /// A set of [`Trace`]s.
    traces: AtomicU64,
    /// A [`Phase`].
    phase: AtomicU8,
    /// A holder has prepared a statement since the last query.
    prepared: AtomicBool,
    /// The last refused pragma since the last query: its index in [`pragmas::OF_THE_PROCESS`] plus one.
    refused: AtomicUsize,
}

impl Watch {
    pub(crate) fn mark(&self, trace: Trace) {
        self.traces.fetch_or(trace.0, Ordering::Relaxed);
    }

    pub(crate) fn traces(&self) -> Trace {
        Trace(self.traces.load(Ordering::Relaxed))
    }

    pub(crate) fn forget(&self) {
        self.traces.store(0, Ordering::Relaxed);
    }

    pub(crate) fn prepares(&self) {
        self.prepared.store(true, Ordering::Relaxed);
    }

    pub(crate) fn takes_prepared(&self) -> bool {
        // Not by a swap, which costs more than all other steps: only the thread that has the connection writes this.
        let prepared = self.prepared.load(Ordering::Relaxed);
        if prepared {
            self.prepared.store(false, Ordering::Relaxed);
        }
        prepared
    }

    pub(crate) fn refuse(&self, place: usize) {
        self.refused.store(place + 1, Ordering::Relaxed);
    }

    pub(crate) fn takes_refused(&self) -> Option<&'static str> {
        let refused = self.refused.load(Ordering::Relaxed).checked_sub(1)?;
        self.refused.store(0, Ordering::Relaxed);
        pragmas::OF_THE_PROCESS.get(refused).copied()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Opening,
            1 => Phase::Ours,
            _ => Phase::Lent,
        }
    }
}

/// The present user of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// `with_init`: recorded, to detect its choices; nothing is forbidden.
    Opening = 0,
    /// The adapter: not recorded, and the user's authorizer is not called.
    Ours = 1,
    /// A holder: recorded, and the user's authorizer is called.
    Lent = 2,
}

/// A set of changes to a session. The low bits are the rows of [`pragmas::SETTINGS`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace(u64);

impl Trace {
    pub(crate) const NONE: Self = Self(0);
    /// A setting made through the driver's methods, which are always all restored.
    pub(crate) const SETTING: Self = Self(1 << 63);
    /// Something in the `temp` schema was created or dropped.
    pub(crate) const TEMPORARY: Self = Self(1 << 62);
    /// A database was attached or detached.
    pub(crate) const ATTACHED: Self = Self(1 << 61);
    /// The journal mode was set, perhaps to its old value.
    pub(crate) const JOURNAL: Self = Self(1 << 60);
    /// An irreversible change: the connection must be closed.
    pub(crate) const LASTING: Self = Self(1 << 59);
    /// The busy time-out, or a handler in its place.
    pub(crate) const BUSY: Self = Self(1 << 58);
    /// Automatic checkpoints, or a WAL hook in their place.
    pub(crate) const CHECKPOINTS: Self = Self(1 << 57);
    /// A hook was set through a method of the pooled connection.
    pub(crate) const HOOK: Self = Self(1 << 56);
    /// The cache of prepared statements exceeds the limit for the next holder.
    pub(crate) const STATEMENTS: Self = Self(1 << 55);
    /// All reversible changes, for when the changes are unknown.
    pub(crate) const ANYTHING: Self = Self(!Self::LASTING.0);

    /// The pragma in this row of [`pragmas::SETTINGS`].
    pub(crate) const fn pragma(row: usize) -> Self {
        assert!(row < 55);
        Self(1 << row)
    }

    /// Whether all changes are undone within microseconds, however many there are.
    pub(crate) fn is_small(self) -> bool {
        const ALSO: u64 = Trace::SETTING.0 | Trace::BUSY.0 | Trace::CHECKPOINTS.0 | Trace::HOOK.0;
        let settings = pragmas::SETTINGS.iter().enumerate().filter(|(_, (_, undo))| *undo == Undo::Small);
        let small = settings.fold(ALSO, |small, (row, _)| small | Self::pragma(row).0);
        self.0 & !small == 0
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

/// The changes that a statement will make.
pub(crate) fn trace_of(context: &AuthContext<'_>) -> Trace {
    match context.action {
        AuthAction::Pragma { pragma_value: None, .. } => Trace::NONE,
        AuthAction::Pragma { pragma_name, .. } => match pragmas::effect(pragma_name) {
            Effect::Nothing => Trace::NONE,
            // Only those of `main`, and of the connection, are restored.
            _ if context.database_name.is_some_and(|name| !name.eq_ignore_ascii_case("main")) => Trace::LASTING,
            Effect::Setting(row) => Trace::pragma(row),
            Effect::BusyTimeout => Trace::BUSY,
            Effect::Checkpoints => Trace::CHECKPOINTS,
            Effect::JournalMode => Trace::JOURNAL,
            Effect::Lasting => Trace::LASTING,
        },
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => Trace::ATTACHED,
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropTempView { .. } => Trace::TEMPORARY,
        AuthAction::Function { function_name }
            if ["load_extension", "fts3_tokenizer"].iter().any(|name| function_name.eq_ignore_ascii_case(name)) =>
        {
            Trace::LASTING
        }
        // `ATTACH` of an expression has no file name while it is prepared, and is reported as this, with its code.
        AuthAction::Unknown { code: rusqlite::ffi::SQLITE_ATTACH | rusqlite::ffi::SQLITE_DETACH, .. } => {
            Trace::ATTACHED
        }
        AuthAction::Unknown { .. } => Trace::LASTING,
        AuthAction::Read { .. } | AuthAction::Select | AuthAction::Function { .. } => Trace::NONE,
        // Renaming a table searches the temporary schema for references to it.
        AuthAction::Update { table_name: "sqlite_temp_master", .. } => Trace::NONE,
        // `CREATE TABLE temp.t` is not reported as a temporary table, but with the name of its schema.
        _ if context.database_name == Some("temp") => Trace::TEMPORARY,
        _ => Trace::NONE,
    }
}
