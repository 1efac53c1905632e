//! Opens a connection, within a pool's limit if there is one.
//!
//! Owns the order: get the settings, complete them (`settings.rs`), list the ways to the servers (`ways.rs`), try one place after another
//! (`trying.rs`). Names are resolved here (`names.rs`) because the driver's own look-ups can be neither bounded nor aborted.
//! `failures.rs` combines the attempts' errors.

mod settings;
mod ways;
mod trying;
mod names;
mod failures;
#[cfg(test)]
mod tests;

pub(crate) use ways::name_of_database;

use crate::connection::Connection;
use crate::connector::Connector;
use crate::error::{SettingsError, driver_error, provoke};
use crate::hosts::Place;
use crate::manager::PostgresManager;
use crate::role::Role;
use crate::source::Source;
use crate::statements::Statements;
use crate::tap::Tap;
use cabrank::Limit;
use postgres::config::TargetSessionAttrs;
use postgres::{Client, Config, Error, NoTls};
use std::io;
use std::sync::Arc;

impl PostgresManager {
    /// Opens a connection outside of any pool, in the same way as the pool does: for migrations before a pool exists.
    ///
    /// # Errors
    ///
    /// The driver's. With one host only the settings' own time-outs bound the opening. With several hosts, a silent one is skipped; if
    /// all are silent, the adapter tries them again until each has had ten seconds at a time.
    pub fn open(&self) -> Result<Connection, Error> {
        let conn = open(self, None)?;
        if let Some(tap) = conn.tap() {
            tap.tracker().start_tracking();
        }
        Ok(conn)
    }
}

/// Opens a connection with the manager's settings. Without a limit only the settings' own time-outs bound it, and the time for each
/// silent host among several.
pub(crate) fn open(manager: &PostgresManager, limit: Option<&Limit>) -> Result<Connection, Error> {
    open_by(manager, limit, names::of_system)
}

fn open_by(manager: &PostgresManager, limit: Option<&Limit>, resolve: names::Resolve) -> Result<Connection, Error> {
    let mut config = match &manager.source {
        Source::Fixed(config) => Config::clone(config),
        Source::Asked(ask) => look_up(limit, || ask())?.map_err(driver_error)?,
    };
    let role = manager.role.with(config.get_target_session_attrs());
    let role = role.map_err(|error| provoke(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    if role != Role::Any {
        // The driver would spend a query on it.
        config.target_session_attrs(TargetSessionAttrs::Any);
    }
    settings::fill_in(&mut config, manager, limit);
    match ways::find(&config) {
        Some(ways) => trying::Trying { manager, config, role, limit, resolve }.one_after_another(ways),
        None => {
            let senseless =
                || provoke(io::Error::other(SettingsError("the numbers of hosts, addresses and ports do not match")));
            Err(config.connect(NoTls).err().unwrap_or_else(senseless))
        }
    }
}

fn wrap(
    manager: &PostgresManager,
    client: Client,
    connector: Connector,
    tap: Option<Arc<Tap>>,
    (role, place): (Role, &Place),
) -> Connection {
    // Behind a transaction pooler a statement may be gone with its session.
    let usual = if manager.transaction_pooler { 0 } else { 100 };
    let statements = Statements::new(manager.statement_cache.unwrap_or(usual), manager.changes.clone());
    let tokens = Arc::default();
    Connection {
        client,
        statements,
        tap,
        connector,
        used: false,
        tokens,
        transaction_pooler: manager.transaction_pooler,
        beyond_reset: false,
        left_unread: false,
        role,
        place: place.clone(),
        hosts: manager.hosts.clone(),
    }
}

/// Gives up at the limit, and abandons the look-up.
fn look_up<T>(limit: Option<&Limit>, look_up: impl FnOnce() -> T) -> Result<T, Error> {
    match limit {
        Some(limit) => limit.unabortable(look_up).ok_or_else(too_late),
        None => Ok(look_up()),
    }
}

fn too_late() -> Error {
    provoke(io::Error::new(io::ErrorKind::TimedOut, "the settings or the host's address did not arrive in time"))
}
