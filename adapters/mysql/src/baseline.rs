//! The state of a session at its opening, to be restored by each reset.
//!
//! Holds the record; `reset.rs` restores it.

/// The session's state at its opening, and again after each reset.
#[derive(Debug, Default)]
pub(crate) struct Baseline {
    pub(crate) connection_id: u32,
    pub(crate) standing: Standing,
    /// Are the effects of all `init` statements in the options known?
    pub(crate) is_plain: bool,
    /// The statement that restores the character sets.
    pub(crate) letters: String,
    /// The maximum packet size of the driver, in bytes. It sends nothing of a larger one.
    pub(crate) largest_packet: usize,
}

/// What a reset must find unchanged since the opening.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) user: String,
    pub(crate) role: Option<String>,
    pub(crate) database: Option<String>,
    /// Can the session's state be derived from the statements' texts? It can if a statement outside of a transaction commits by itself,
    /// COMMIT begins no other transaction, and no byte of a character in this character set looks like a quote.
    pub(crate) tells: bool,
}
