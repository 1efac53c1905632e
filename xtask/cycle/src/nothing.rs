//! A driver that does nothing.

use cabrank::{Limit, Manager};
use std::io;

/// Its connections are numbers.
pub(crate) struct Nothing;

impl Manager for Nothing {
    type Connection = u64;
    type Error = io::Error;

    fn connect(&self, _: &Limit) -> io::Result<u64> {
        Ok(1)
    }
    fn is_valid(&self, _: &mut u64, _: &Limit) -> io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}
