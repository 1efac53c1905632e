//! The role that a server must have for its sessions to be lent.
//!
//! Pure. Owns the query and the reading of its answer. The tracker has what a server reports unasked; `connection.rs` sends the query.

use crate::error::SettingsError;
use crate::tracker::Standing;
use postgres::SimpleQueryMessage;
use postgres::config::TargetSessionAttrs;

/// The role that a server must have. See [`PostgresManager::role`](crate::PostgresManager::role).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Any role.
    #[default]
    Any,
    /// Accepts writes: it is not in recovery, and its `default_transaction_read_only` is off.
    Primary,
    /// In recovery: a standby, or a replica.
    Standby,
}

impl Role {
    /// Combines this role with the settings' `target_session_attrs`, which must not contradict it. (`read-only` alone is left to the
    /// driver: it also accepts a primary whose transactions are read-only by default.)
    pub(crate) fn with(self, attrs: TargetSessionAttrs) -> Result<Self, SettingsError> {
        match (self, attrs) {
            (Self::Any, TargetSessionAttrs::ReadWrite) => Ok(Self::Primary),
            (Self::Primary, TargetSessionAttrs::ReadOnly) => {
                Err(SettingsError("target_session_attrs=read-only contradicts Role::Primary"))
            }
            (Self::Standby, TargetSessionAttrs::ReadWrite) => {
                Err(SettingsError("target_session_attrs=read-write contradicts Role::Standby"))
            }
            (role, _) => Ok(role),
        }
    }

    /// Whether a server of this standing has the role. `None`: the report is incomplete.
    pub(crate) fn suits(self, standing: Standing) -> Option<bool> {
        match self {
            Self::Any => Some(true),
            Self::Primary => standing.takes_writes(),
            Self::Standby => standing.in_recovery,
        }
    }

    /// For a message.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "any server",
            Self::Primary => "a primary",
            Self::Standby => "a standby",
        }
    }
}

/// A server's report on itself.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) standing: Standing,
    /// The source of `default_transaction_read_only`, as in `pg_settings`, if it was queried.
    source: Option<String>,
}

impl Said {
    /// Reported on the wire.
    pub(crate) fn by(standing: Standing) -> Self {
        Self { standing, source: None }
    }

    /// From its answer to [`STANDING`], which may be among other answers.
    pub(crate) fn of(answer: &[SimpleQueryMessage]) -> Self {
        let mut said = Self::default();
        for message in answer {
            let SimpleQueryMessage::Row(row) = message else { continue };
            let Ok(in_recovery) = row.try_get("cabrank_in_recovery") else { continue };
            let text = |column| row.try_get(column).ok().flatten();
            said.standing.in_recovery = in_recovery.map(|text| text == "t");
            said.standing.read_only = text("cabrank_read_only").map(|text| text == "on");
            said.source = text("cabrank_source").map(str::to_owned);
        }
        said
    }

    /// Whether only SET made its transactions read-only.
    pub(crate) fn is_read_only_by_set(&self) -> bool {
        self.standing.in_recovery == Some(false) && self.source.as_deref() == Some(OF_SESSION)
    }

    /// A phrase that names the cause of read-only transactions, if it is not the server.
    pub(crate) fn whence(&self) -> &'static str {
        match self.source.as_deref().filter(|_| self.standing.in_recovery != Some(true)) {
            Some(OF_SESSION) => ", because of a SET in this session",
            Some("client") => ", because of the `options` in the connection's settings",
            Some("user" | "database" | "database user" | "global") => ", because of ALTER ROLE or ALTER DATABASE",
            _ => "",
        }
    }
}

/// Not `transaction_read_only`: within a reset it has the last holder's value.
pub(crate) const STANDING: &str = "SELECT pg_catalog.pg_is_in_recovery() AS cabrank_in_recovery, \
    pg_catalog.current_setting('default_transaction_read_only') AS cabrank_read_only, \
    CASE WHEN pg_catalog.current_setting('default_transaction_read_only') = 'on' THEN (SELECT source \
    FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only') END AS cabrank_source";

/// The value of `source` in `pg_settings` after a SET.
const OF_SESSION: &str = "session";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_takes_writes_and_a_standby_is_in_recovery() {
        let said = |in_recovery, read_only| Standing { in_recovery, read_only };
        for (standing, primary, standby) in [
            (said(Some(false), Some(false)), Some(true), Some(false)),
            (said(Some(true), Some(false)), Some(false), Some(true)),
            (said(Some(false), Some(true)), Some(false), Some(false)),
            (said(Some(true), None), Some(false), Some(true)),
            (said(None, Some(true)), Some(false), None),
            (said(Some(false), None), None, Some(false)),
            (said(None, None), None, None),
        ] {
            assert_eq!(Role::Any.suits(standing), Some(true), "{standing:?}");
            assert_eq!(
                (Role::Primary.suits(standing), Role::Standby.suits(standing)),
                (primary, standby),
                "{standing:?}"
            );
        }
    }

    #[test]
    fn the_settings_may_ask_for_a_primary_and_must_not_contradict_the_role() {
        use TargetSessionAttrs::{Any, ReadOnly, ReadWrite};
        for (role, attrs, expected) in [
            (Role::Any, Any, Some(Role::Any)),
            (Role::Any, ReadWrite, Some(Role::Primary)),
            (Role::Any, ReadOnly, Some(Role::Any)),
            (Role::Primary, Any, Some(Role::Primary)),
            (Role::Primary, ReadWrite, Some(Role::Primary)),
            (Role::Primary, ReadOnly, None),
            (Role::Standby, Any, Some(Role::Standby)),
            (Role::Standby, ReadWrite, None),
            (Role::Standby, ReadOnly, Some(Role::Standby)),
        ] {
            assert_eq!(role.with(attrs).ok(), expected, "{role:?} with {attrs:?}");
        }
    }
}
