//! What came of the texts that ran on a server.

use anyhow::{Result, ensure};
use std::collections::BTreeSet;

/// Counts. None of them says anything unless some texts ran and were taken for harmless.
#[derive(Debug, Default)]
pub struct Tally {
    ran: u64,
    spared: u64,
    functions: BTreeSet<&'static str>,
}

impl Tally {
    /// A text, perhaps the call of this function, `ran` without an error. It was `spared` if the session was not reset after it.
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
    /// If none ran that was spared, which proves nothing.
    pub fn end(self) -> Result<()> {
        let Self { ran, spared, functions } = self;
        let called = functions.len();
        println!(
            "{ran} ran without an error, and of these {spared} were taken for harmless, with {called} functions called by name"
        );
        ensure!(spared > 0 && called > 0, "no text ran that was taken for harmless: nothing was tried");
        Ok(())
    }
}
