//! Bounds on the steps of connecting: the driver's own time-outs, limited to the time that is left.
//!
//! No clock and no I/O: the holder of the limit passes the time that is left.

use mysql::{Opts, OptsBuilder};
use std::time::Duration;

/// The options with each step limited to `span`, and to the user's own time-outs.
pub(crate) fn within(builder: OptsBuilder, own: &Opts, span: Duration) -> OptsBuilder {
    builder
        .init(Vec::<String>::new())
        .tcp_connect_timeout(shorter(own.get_tcp_connect_timeout(), span))
        .read_timeout(shorter(own.get_read_timeout().copied(), span))
        .write_timeout(shorter(own.get_write_timeout().copied(), span))
}

/// Never zero, which a socket treats as no limit.
pub(crate) fn shorter(own: Option<Duration>, span: Duration) -> Option<Duration> {
    Some(own.map_or(span, |own| own.min(span)).max(Duration::from_millis(1)))
}
