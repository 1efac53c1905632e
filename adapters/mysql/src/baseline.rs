//! How a session stood when it was opened, to be found again after each reset.
//!
//! Owns the record. What puts the session back is `reset.rs`.

/// What the session was when it was opened, and is again after each reset.
#[derive(Debug, Default)]
pub(crate) struct Baseline {
    pub(crate) connection_id: u32,
    pub(crate) standing: Standing,
    /// Do the options' `init` statements do nothing unknown?
    pub(crate) is_plain: bool,
    /// The statement that sets the character sets back.
    pub(crate) letters: String,
    /// The most bytes that the driver puts into a packet. It sends nothing of a larger one.
    pub(crate) largest_packet: usize,
}

/// What a reset must find as it was when the connection was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) user: String,
    pub(crate) role: Option<String>,
    pub(crate) database: Option<String>,
    /// Do texts tell what becomes of this session? A statement outside of a transaction commits by itself, and COMMIT begins no
    /// other; and in these letters no byte of a character looks like a quote.
    pub(crate) tells: bool,
}
