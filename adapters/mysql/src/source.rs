//! What there is to connect to: options that are given once, or asked for before each connect.

use mysql::Opts;
use std::sync::Arc;

/// Where the options come from.
#[derive(Clone)]
pub(crate) enum Source {
    Fixed(Opts),
    /// Asked before each connect.
    Asked(Arc<Ask>),
}

pub(crate) type Ask = dyn Fn() -> mysql::Result<Opts> + Send + Sync;
