//! Why there is no connection, or no pool.

use std::fmt;

/// Why a request got no connection, or a pool was not built.
///
/// The text begins with `timed out waiting for connection`, which programs may expect. The report of the underlying pool follows: its
/// numbers, the code that holds the connections, and the last connection error.
#[derive(Debug)]
pub struct Error(Option<String>);

impl Error {
    /// The `Debug` text of the pool's errors contains the texts of all sources.
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
