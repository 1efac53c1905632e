//! Identifies log-in errors that will recur.

use mysql::{Error, Opts};
use std::error::Error as _;
use std::io;

/// Whether this log-in error is about the settings or the server's certificate. Network errors may be temporary, and so may unknown
/// errors of the server.
pub(super) fn comes_again(error: &Error, way: &Opts) -> bool {
    let has_tls = way.get_ssl_opts().is_some() && way.get_socket().is_none();
    // The certificate files are read at each log-in, and rustls reports its verdicts as read errors.
    let is_of_tls = |error: &io::Error| {
        has_tls
            && matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidData
            )
    };
    match error {
        Error::MySqlError(error) => ASKED_WRONGLY.contains(&error.code),
        Error::IoError(error) => is_of_tls(error),
        Error::CodecError(error) => error.source().and_then(|error| error.downcast_ref()).is_some_and(is_of_tls),
        #[cfg(any(feature = "native-tls", feature = "rustls-tls", feature = "rustls-tls-ring"))]
        Error::TlsError(error) => !is_of_network(error),
        _ => false,
    }
}

/// Whether an I/O error causes this one. (native-tls reports an end of stream only in its text.)
#[cfg(any(feature = "native-tls", feature = "rustls-tls", feature = "rustls-tls-ring"))]
fn is_of_network(error: &(dyn std::error::Error + 'static)) -> bool {
    let text = error.to_string().to_ascii_lowercase();
    let mut chain = std::iter::successors(Some(error), |&error| error.source());
    chain.any(|error| error.is::<io::Error>()) || text.contains("eof") || text.contains("interrupted")
}

/// The server's codes, besides those that are always permanent, for a log-in with an impossible request.
const ASKED_WRONGLY: [u16; 3] = [
    1043, // The handshake does not suit the server.
    1115, 1273, // A character set, a collation that it lacks.
];
