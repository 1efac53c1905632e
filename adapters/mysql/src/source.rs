//! Where the options come from, and how they are bounded in time.

use mysql::{Opts, OptsBuilder};
use std::sync::Arc;
use std::time::Duration;

/// Where the options come from.
#[derive(Clone)]
pub(crate) enum Source {
    Fixed(Opts),
    /// Asked before each connect.
    Asked(Arc<Ask>),
}

pub(crate) type Ask = dyn Fn() -> mysql::Result<Opts> + Send + Sync;

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
