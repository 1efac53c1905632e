//! How long the steps of connecting may take: the driver's own time-outs, no longer than the time that is left.
//!
//! Owns no clock and no I/O. What is left is for those to say who hold a limit.

use mysql::{Opts, OptsBuilder};
use std::time::Duration;

/// The options with each step taking no longer than `span`, nor longer than the user's own.
pub(crate) fn within(builder: OptsBuilder, own: &Opts, span: Duration) -> OptsBuilder {
    builder
        .init(Vec::<String>::new())
        .tcp_connect_timeout(shorter(own.get_tcp_connect_timeout(), span))
        .read_timeout(shorter(own.get_read_timeout().copied(), span))
        .write_timeout(shorter(own.get_write_timeout().copied(), span))
}

/// Never zero, which a socket takes for no limit at all.
pub(crate) fn shorter(own: Option<Duration>, span: Duration) -> Option<Duration> {
    Some(own.map_or(span, |own| own.min(span)).max(Duration::from_millis(1)))
}
