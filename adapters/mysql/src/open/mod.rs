//! Opens a connection within a limit.
//!
//! Owns the order of the steps. `addresses.rs` resolves names, `trying.rs` tries one address after another, and `lasting.rs` identifies
//! errors that recur. The driver exposes no descriptor until the connection is ready: until then only its own time-outs bound the
//! opening; afterwards it can be aborted.

mod addresses;
mod trying;
mod lasting;

#[cfg(all(test, target_os = "linux"))]
mod tests;

use crate::connection::Connection;
use crate::error::unsupported;
use crate::manager::MySqlManager;
use crate::source::Source;
use cabrank::Limit;
use mysql::{DriverError, Error, Opts, OptsBuilder, Result};
use std::collections::HashMap;
use trying::Trying;

impl MySqlManager {
    /// Opens a connection outside of any pool, in the same way as the pool does: for migrations before a pool exists.
    ///
    /// # Errors
    ///
    /// The driver's. Only the options' own time-outs bound the opening.
    pub fn open(&self) -> mysql::Result<Connection> {
        open(self, None)
    }
}

/// Opens a connection with the manager's settings. Without a limit only the options' own time-outs bound it.
pub(crate) fn open(manager: &MySqlManager, limit: Option<&Limit>) -> Result<Connection> {
    let opts = options(manager, limit)?;
    if opts.get_ssl_opts().is_some() && !HAS_TLS {
        return Err(unsupported("TLS needs one of the features native-tls, rustls-tls, rustls-tls-ring"));
    }
    let addresses = addresses::find(&opts, limit)?;
    let mut conn = Trying { manager, opts, limit }.one_after_another(addresses)?;
    // Only once the role is known: in the wrong role the server refuses their writes.
    if !conn.opts.get_init().is_empty() {
        conn.init()?;
        conn.baseline.standing = conn.ask("")?;
    }
    Ok(conn)
}

/// The options with this crate's additions; the user's own values are kept.
fn options(manager: &MySqlManager, limit: Option<&Limit>) -> Result<Opts> {
    let opts = match &manager.source {
        Source::Fixed(opts) => opts.clone(),
        Source::Asked(ask) => look_up(limit, || ask())??,
    };
    let mut builder = OptsBuilder::from_opts(opts.clone()).prefer_socket(manager.prefer_socket);
    if opts.get_tcp_keepalive_time_ms().is_none() {
        builder = builder.tcp_keepalive_time_ms(Some(QUIET_MS));
    }
    #[cfg(target_os = "linux")]
    if opts.get_tcp_user_timeout_ms().is_none() {
        builder = builder.tcp_user_timeout_ms(Some(QUIET_MS));
    }
    // Options without any attributes request that none are sent.
    let unnamed = opts.get_connect_attrs().is_some_and(|attributes| !attributes.contains_key(PROGRAM_NAME));
    let of_pool = limit.filter(|_| unnamed).map(Limit::pool);
    if let Some(name) = manager.program_name.as_deref().or(of_pool) {
        let mut attributes: HashMap<String, String> = opts.get_connect_attrs().cloned().unwrap_or_default();
        attributes.insert(PROGRAM_NAME.into(), name.into());
        builder = builder.connect_attrs(Some(attributes));
    }
    Ok(builder.into())
}

/// Runs a look-up that cannot be aborted, and gives up on it at the limit.
fn look_up<T>(limit: Option<&Limit>, look: impl FnOnce() -> T) -> Result<T> {
    match limit {
        None => Ok(look()),
        Some(limit) => limit.unabortable(look).ok_or(Error::DriverError(DriverError::ConnectTimeout)),
    }
}

const HAS_TLS: bool = cfg!(any(feature = "native-tls", feature = "rustls-tls", feature = "rustls-tls-ring"));

/// After this silence the system probes the peer; sent bytes may stay unacknowledged for as long.
const QUIET_MS: u32 = 60_000;

/// The connection attribute that the driver sets to this process's name by default.
const PROGRAM_NAME: &str = "program_name";
