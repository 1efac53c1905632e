//! The fallback if the driver does not expose its socket: nothing is seen and nothing can be aborted.

use mysql::Conn;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Socket;

impl Socket {
    pub(crate) const CAN_ABORT: bool = false;

    pub(crate) fn of(_: &Conn) -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        None
    }

    pub(crate) fn is_dead(&self) -> bool {
        false
    }

    pub(crate) fn abort(&self) {}

    pub(crate) fn set_timeouts(&self, _: Option<Duration>, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn wait_for_end(&self, _: Option<Duration>) {}
}
