//! The phases of a connection.

use std::fmt;

/// What a connection is doing, or what is being done with it.
///
/// | phase     | the connection is with                      | part of `max_size` |
/// |-----------|---------------------------------------------|--------------------|
/// | Opening   | a worker                                    | yes                |
/// | Idle      | the pool, ready for a borrower              | yes                |
/// | Lent      | its holder                                  | yes                |
/// | Checking  | a worker                                    | yes                |
/// | Resetting | a worker                                    | yes                |
/// | Closing   | a worker                                    | yes                |
/// | Aborted   | a worker or a guard; its socket is shut down | no                |
/// | Abandoned | a thread that was written off, in a look-up | no                 |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Phase {
    /// It is being opened.
    Opening,
    /// It is available.
    Idle,
    /// It is on loan.
    Lent,
    /// The server is being checked.
    Checking,
    /// Its session is being reset after a loan.
    Resetting,
    /// It is being closed.
    Closing,
    /// The pool has given it up, but the call that runs on it has not returned.
    Aborted,
    /// Its opening was given up in a look-up that cannot be aborted.
    Abandoned,
}

impl Phase {
    pub(crate) const COUNT: usize = Self::Abandoned as usize + 1;

    /// Returns the phase as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Idle => "idle",
            Self::Lent => "lent",
            Self::Checking => "checking",
            Self::Resetting => "resetting",
            Self::Closing => "closing",
            Self::Aborted => "aborted",
            Self::Abandoned => "abandoned",
        }
    }

    pub(crate) fn takes_capacity(self) -> bool {
        !matches!(self, Self::Aborted | Self::Abandoned)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
