//! A server's reports on itself: whether it is in recovery, and whether transactions are read-only by default.
//!
//! Owns the names of the settings. `role.rs` derives the role.

/// `None`: not reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) in_recovery: Option<bool>,
    pub(crate) read_only: Option<bool>,
}

impl Standing {
    /// The server reports a setting. From PostgreSQL 14 on it reports both at the beginning of a session and at each change.
    pub(crate) fn hear(&mut self, name: &[u8], value: &[u8]) {
        let value = match value {
            b"on" => Some(true),
            b"off" => Some(false),
            _ => None,
        };
        match name {
            b"in_hot_standby" => self.in_recovery = value,
            b"default_transaction_read_only" => self.read_only = value,
            _ => {}
        }
    }

    /// Whether it accepts writes.
    pub(crate) fn takes_writes(self) -> Option<bool> {
        match (self.in_recovery, self.read_only) {
            (Some(true), _) | (_, Some(true)) => Some(false),
            (Some(false), Some(false)) => Some(true),
            _ => None,
        }
    }
}
