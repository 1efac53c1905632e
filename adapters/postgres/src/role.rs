//! The role that a server must have for its sessions to be lent.
//!
//! Pure. Owns the question for it, and the reading of the answer. What a server shows unasked is the tracker's; who asks is
//! `connection.rs`.

use crate::error::SettingsError;
use crate::tracker::Standing;
use postgres::SimpleQueryMessage;
use postgres::config::TargetSessionAttrs;

/// Which role a server must have. See [`PostgresManager::role`](crate::PostgresManager::role).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Any will do.
    #[default]
    Any,
    /// It takes writes: it is not in recovery, and its `default_transaction_read_only` is off.
    Primary,
    /// It is in recovery: a standby, or a replica.
    Standby,
}

impl Role {
    /// The role that is asked for, by us and by the settings' `target_session_attrs`: they must not contradict each other.
    /// (`read-only` alone is left to the driver: it also takes a primary whose transactions are read-only by default.)
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

    /// Has a server of this standing the role? `None`: it has not said enough.
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

/// What a server says of itself.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) standing: Standing,
    /// Where `default_transaction_read_only` was switched on, as in `pg_settings`, if it was asked.
    source: Option<String>,
}

impl Said {
    /// Shown on the wire.
    pub(crate) fn by(standing: Standing) -> Self {
        Self { standing, source: None }
    }

    /// In its answer to [`STANDING`], among those to others.
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

    /// Has SET made its transactions read-only, and nothing else?
    pub(crate) fn is_read_only_by_set(&self) -> bool {
        self.standing.in_recovery == Some(false) && self.source.as_deref() == Some(OF_SESSION)
    }

    /// A word on whose doing it is that transactions are read-only, if it is not the server's.
    pub(crate) fn whence(&self) -> &'static str {
        match self.source.as_deref().filter(|_| self.standing.in_recovery != Some(true)) {
            Some(OF_SESSION) => ", as a SET in this session says",
            Some("client") => ", as the `options` of the connection's settings say",
            Some("user" | "database" | "database user" | "global") => ", as ALTER ROLE or ALTER DATABASE says",
            _ => "",
        }
    }
}

/// Not `transaction_read_only`: within a reset that is what the last holder wanted.
pub(crate) const STANDING: &str = "SELECT pg_catalog.pg_is_in_recovery() AS cabrank_in_recovery, \
    pg_catalog.current_setting('default_transaction_read_only') AS cabrank_read_only, \
    CASE WHEN pg_catalog.current_setting('default_transaction_read_only') = 'on' THEN (SELECT source \
    FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only') END AS cabrank_source";

/// What `pg_settings` calls what SET has changed.
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
