//! Shared by the fuzzers: the length of a run, and the texts of SQL. The programs that use them are in `bin/`.
//!
//! They are plain programs for the stable toolchain: a generator that has the grammar's rules gets deeper into a scanner of SQL in a
//! minute than one that must find them, and a server that runs each text is the slower part by far.

mod campaign;
mod scan;
mod tally;
mod texts;

pub use campaign::Campaign;
pub use scan::scan;
pub use tally::Tally;
pub use texts::{Grammar, Rule, Texts};
