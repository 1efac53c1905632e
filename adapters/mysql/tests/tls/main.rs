//! The adapter over TLS. Its clients accept any certificate: this tests connections, not trust.
//!
//! `cargo test -p cabrank-mysql --features rustls-tls-ring --test tls`, or with another of the features. Without any there is no test
//! here.

#[cfg(any(feature = "native-tls", feature = "rustls-tls", feature = "rustls-tls-ring"))]
mod encrypted;
#[cfg(any(feature = "native-tls", feature = "rustls-tls", feature = "rustls-tls-ring"))]
#[allow(dead_code)] // Written for the adapter's other tests; these need less of it.
#[path = "../it/server.rs"]
mod server;

use std::process::ExitCode;

fn main() -> ExitCode {
    cabrank_testing::harness::run([
        #[cfg(any(feature = "native-tls", feature = "rustls-tls", feature = "rustls-tls-ring"))]
        encrypted::tests(),
    ])
}
