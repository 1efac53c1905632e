//! The socket below a driver's connection, if the driver exposes its descriptor.
//!
//! The descriptor is duplicated once, when the connection is opened. The duplicate is owned and so can never refer to another file,
//! however the driver's own ends.

use mysql::Conn;
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, getpeername, recv, shutdown, sockopt};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A second descriptor of the connection's socket.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// Whether a call on such a connection can be aborted.
    pub(crate) const CAN_ABORT: bool = true;

    pub(crate) fn of(conn: &Conn) -> io::Result<Self> {
        #[allow(unsafe_code)] // The driver implements AsRawFd, but not AsFd.
        // SAFETY: the number is that of the socket inside `conn`, which is open for as long as `conn` lives and is not exchanged while it
        // is borrowed, as it is until the end of this function. The borrow ends here: only the duplicate leaves.
        let borrowed = unsafe { BorrowedFd::borrow_raw(conn.as_raw_fd()) };
        borrowed.try_clone_to_owned().map(Self)
    }

    /// The server's address; `None` for a Unix socket.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        getpeername(&self.0).ok()?.and_then(|address| address.try_into().ok())
    }

    /// Whether there is any data or an end of stream. Takes half a microsecond, and consumes no data.
    ///
    /// This holds for TLS too: a server's unsolicited data (session tickets) comes before its first reply and is read with it, and data
    /// after the last reply is its goodbye.
    pub(crate) fn is_dead(&self) -> bool {
        let mut byte = [0; 1];
        let looked = recv(&self.0, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        !matches!(looked, Err(Errno::AGAIN | Errno::INTR))
    }

    /// Aborts the connection: each read and write on it fails from now on. Does not block.
    pub(crate) fn abort(&self) {
        // An error means that it is aborted already.
        let _ = shutdown(&self.0, Shutdown::Both);
    }

    /// The time-outs of each read and each write from now on; `None` means no limit.
    pub(crate) fn set_timeouts(&self, read: Option<Duration>, write: Option<Duration>) -> io::Result<()> {
        sockopt::set_socket_timeout(&self.0, sockopt::Timeout::Recv, read)?;
        sockopt::set_socket_timeout(&self.0, sockopt::Timeout::Send, write)?;
        Ok(())
    }

    /// Waits until the server has hung up, or aborts the connection after `patience`.
    pub(crate) fn wait_for_end(&self, patience: Option<Duration>) {
        let patience = patience.map(|span| span.max(Duration::from_millis(1)));
        let mut rest = [0; 512];
        if self.set_timeouts(patience, None).is_ok() {
            while matches!(recv(&self.0, &mut rest[..], RecvFlags::empty()), Ok((1.., _)) | Err(Errno::INTR)) {}
        }
        self.abort();
    }
}
