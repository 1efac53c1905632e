//! Why there is no connection, or no pool.

use std::fmt;

/// Why a request has no connection, or a pool was not built.
///
/// The text begins with `timed out waiting for connection`, as programs expect. Then comes the report of the pool behind: its numbers,
/// the code that holds the connections, and the last error on connecting.
#[derive(Debug)]
pub struct Error(Option<String>);

impl Error {
    /// `Debug` of the pool's errors is their sentence with those of all sources.
    pub(crate) fn new(error: &dyn fmt::Debug) -> Self {
        Self(Some(format!("{error:?}")))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out waiting for connection")?;
        match &self.0 {
            Some(report) => write!(f, ": {report}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
