//! The record of a session's state at its opening, which each reset restores (`reset.rs`).

/// The session's state at its opening, and again after each reset.
#[derive(Debug, Default)]
pub(crate) struct Baseline {
    pub(crate) connection_id: u32,
    pub(crate) standing: Standing,
    /// Whether the effects of all `init` statements in the options are known.
    pub(crate) is_plain: bool,
    /// The statement that restores the character sets.
    pub(crate) charset_sql: String,
    /// The maximum size of a packet, in bytes. The driver sends no part of a larger one.
    pub(crate) largest_packet: usize,
}

/// The part of the state that must be the same after each reset as at the opening.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) user: String,
    pub(crate) role: Option<String>,
    pub(crate) database: Option<String>,
    /// Whether the texts of statements show their effects on the session. They do if a statement outside of a transaction commits by
    /// itself, COMMIT begins no other transaction, and no byte of a character in this character set looks like a quote.
    pub(crate) texts_are_reliable: bool,
}
