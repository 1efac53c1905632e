//! The results of the texts that ran on a server.

use anyhow::{Result, ensure};
use std::collections::BTreeSet;

/// Counts. They prove nothing unless some texts ran and counted as harmless.
#[derive(Debug, Default)]
pub struct Tally {
    ran: u64,
    spared: u64,
    functions: BTreeSet<&'static str>,
}

impl Tally {
    /// Counts a text, which may be a call of `function`. It `ran` if there was no error, and was `spared` if the session was not reset
    /// after it.
    pub fn count(&mut self, function: Option<&'static str>, ran: bool, spared: bool) {
        self.ran += u64::from(ran);
        if ran && spared {
            self.spared += 1;
            self.functions.extend(function);
        }
    }

    /// Prints the counts.
    ///
    /// # Errors
    ///
    /// If no text both ran and was spared, which proves nothing.
    pub fn end(self) -> Result<()> {
        let Self { ran, spared, functions } = self;
        let called = functions.len();
        println!(
            "{ran} ran without an error, and of these {spared} were taken for harmless, with {called} functions called by name"
        );
        ensure!(spared > 0 && called > 0, "no text that counts as harmless ran: nothing was tested");
        Ok(())
    }
}
