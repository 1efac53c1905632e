//! The role that a server must have for its sessions to be lent.
//!
//! Pure. `questions.rs` has the server's report; `connection/asking.rs` queries it.

use crate::fault::{fault, is_read_only};
use crate::questions::Writes;
use cabrank::Fault;
use mysql::Error;

/// The role that a server must have. See [`MySqlManager::role`](crate::MySqlManager::role).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Any role.
    #[default]
    Any,
    /// Accepts writes: its `read_only`, `super_read_only` and `innodb_read_only` are off.
    Primary,
    /// Refuses writes, because one of these is on: a replica.
    Standby,
}

impl Role {
    /// Whether a server with this report has the role. `None`: the report is incomplete.
    pub(crate) fn suits(self, writes: &Writes) -> Option<bool> {
        match (self, writes) {
            (_, Writes::Detached) => Some(false),
            (Self::Any, _) => Some(true),
            (_, Writes::Unknown) => None,
            (Self::Primary, writes) => Some(*writes == Writes::Taken),
            (Self::Standby, writes) => Some(*writes != Writes::Taken),
        }
    }

    /// What an error means if this role is required. A write refused because the server is read-only itself shows that it is no primary.
    /// An error that a holder may have caused (a `READ ONLY` transaction) is a statement's error, and the reset queries the role.
    pub(crate) fn fault(self, error: &Error) -> Fault {
        if self == Self::Primary && is_read_only(error) {
            return Fault::WrongRole;
        }
        fault(error)
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

#[cfg(test)]
mod tests {
    use super::*;
    use mysql::MySqlError;

    #[test]
    fn a_primary_takes_writes_and_a_standby_does_not() {
        for (writes, primary, standby) in [
            (Writes::Taken, Some(true), Some(false)),
            (Writes::Refused("read_only=ON".into()), Some(false), Some(true)),
            (Writes::Unknown, None, None),
        ] {
            assert_eq!(Role::Any.suits(&writes), Some(true), "{writes:?}");
            assert_eq!((Role::Primary.suits(&writes), Role::Standby.suits(&writes)), (primary, standby), "{writes:?}");
        }
    }

    #[test]
    fn a_node_that_takes_no_statements_has_no_role() {
        for role in [Role::Any, Role::Primary, Role::Standby] {
            assert_eq!(role.suits(&Writes::Detached), Some(false), "{role:?}");
        }
    }

    #[test]
    fn a_refused_write_is_about_the_role_where_a_primary_is_asked_for() {
        let refused = |code: u16, message: &str| {
            Error::MySqlError(MySqlError { state: "HY000".into(), message: message.into(), code })
        };
        let read_only = refused(1290, "The MySQL server is running with the --read-only option");
        assert_eq!(Role::Primary.fault(&read_only), Fault::WrongRole);
        for role in [Role::Any, Role::Standby] {
            assert_eq!(role.fault(&read_only), Fault::Statement, "{role:?}");
        }
        assert_eq!(
            Role::Primary.fault(&refused(1792, "Cannot execute statement in a READ ONLY transaction.")),
            Fault::Statement
        );
    }
}
