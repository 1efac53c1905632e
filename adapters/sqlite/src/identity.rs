//! Identifies the file that a path leads to, to detect a moved or replaced database file.
//!
//! In WAL mode SQLite does not detect that: it goes on reading and writing a file that no longer has a name.

use std::path::PathBuf;
use std::{fs, io};

/// A path, and the file it led to when the connection was opened.
#[derive(Debug)]
pub(crate) struct Watched {
    path: PathBuf,
    was: Identity,
}

impl Watched {
    pub(crate) fn new(path: PathBuf) -> io::Result<Self> {
        let was = Identity::of(&path)?;
        Ok(Self { path, was })
    }

    /// Checks that the path still leads to the same file. If not, the error describes what happened to it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let path = self.path.display();
        match Identity::of(&self.path) {
            Ok(is) if is == self.was => Ok(()),
            Ok(_) => Err(format!("{path} was replaced by another file since this connection was opened")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(format!("{path} was moved or deleted since this connection was opened"))
            }
            Err(error) => Err(format!("{path} can no longer be examined: {error}")),
        }
    }
}

/// Device and inode if the system has them; elsewhere only that the file exists.
#[derive(Debug, PartialEq, Eq)]
struct Identity(Option<(u64, u64)>);

impl Identity {
    #[cfg(unix)]
    fn of(path: &std::path::Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(path).map(|found| Self(Some((found.dev(), found.ino()))))
    }

    #[cfg(not(unix))]
    fn of(path: &std::path::Path) -> io::Result<Self> {
        fs::metadata(path).map(|_| Self(None))
    }
}
