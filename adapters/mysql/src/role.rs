//! The role that a server must have for its sessions to be lent.
//!
//! Pure. What a server says of itself is `questions.rs`; who asks is `connection/asking.rs`.

use crate::questions::Writes;

/// Which role a server must have. See [`MySqlManager::role`](crate::MySqlManager::role).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Any will do.
    #[default]
    Any,
    /// It takes writes: its `read_only`, `super_read_only` and `innodb_read_only` are off.
    Primary,
    /// It takes none, by one of these: a replica.
    Standby,
}

impl Role {
    /// Has a server that says this the role? `None`: it has not said enough.
    pub(crate) fn suits(self, writes: &Writes) -> Option<bool> {
        match (self, writes) {
            (Self::Any, _) => Some(true),
            (_, Writes::Unknown) => None,
            (Self::Primary, writes) => Some(*writes == Writes::Taken),
            (Self::Standby, writes) => Some(*writes != Writes::Taken),
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
