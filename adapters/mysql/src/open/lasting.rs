//! Which errors of a log-in come again at the next one.

use mysql::{Error, Opts};
use std::error::Error as _;
use std::io;

/// Is this error of a log-in about the settings or the server's certificate? What the network does may be otherwise the next time, and
/// so may what the server says for a reason that is not known here.
pub(super) fn comes_again(error: &Error, way: &Opts) -> bool {
    let has_tls = way.get_ssl_opts().is_some() && way.get_socket().is_none();
    // The files of the certificates are read at each log-in, and rustls' verdicts come as what was read.
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

/// Does an error of input and output lie behind this one? (native-tls tells of the end of a stream in words alone.)
#[cfg(any(feature = "native-tls", feature = "rustls-tls", feature = "rustls-tls-ring"))]
fn is_of_network(error: &(dyn std::error::Error + 'static)) -> bool {
    let text = error.to_string().to_ascii_lowercase();
    let mut chain = std::iter::successors(Some(error), |&error| error.source());
    chain.any(|error| error.is::<io::Error>()) || text.contains("eof") || text.contains("interrupted")
}

/// The codes of the server, besides those that are permanent anywhere, for a log-in that asks for what it cannot have.
const ASKED_WRONGLY: [u16; 3] = [
    1043, // The handshake does not suit the server.
    1115, 1273, // A character set, a collation that it has not got.
];
