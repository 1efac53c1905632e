//! What a connection is doing.

use std::fmt;

/// What a connection is doing, or what is done with it.
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
    /// It waits for a borrower.
    Idle,
    /// Somebody has it.
    Lent,
    /// The server is asked whether it is there.
    Checking,
    /// Its session is made as good as new after a loan.
    Resetting,
    /// It is being closed.
    Closing,
    /// The pool has given it up, while the call that was running on it has not returned yet.
    Aborted,
    /// Its opening was given up in a look-up that nobody can abort.
    Abandoned,
}

impl Phase {
    pub(crate) const COUNT: usize = Self::Abandoned as usize + 1;

    /// The phase as a word.
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
