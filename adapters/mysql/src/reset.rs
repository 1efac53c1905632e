//! Resets a session after a loan.
//!
//! Owns the order of the steps. `baseline.rs` holds the state to restore.

use crate::baseline::Standing;
use crate::connection::Connection;
use crate::error::unusable;
use crate::sql::Lasting;
use mysql::prelude::Queryable;
use mysql::{ChangeUserOpts, Error, Result, ServerError};

/// Undoes the last holder's changes. `false`: something cannot be undone.
pub(crate) fn reset(conn: &mut Connection) -> Result<bool> {
    conn.health.end(); // Of a leaked transaction.
    conn.health.enter()?;
    if conn.driver.connection_id() != conn.baseline.connection_id {
        return Err(unusable("the last holder replaced the driver's connection"));
    }
    match conn.tracker.lasting() {
        Lasting::No => {}
        // An XA transaction branch refuses, and must not be reset.
        Lasting::Hidden => match conn.driver.query_drop("ROLLBACK") {
            Err(Error::MySqlError(error)) if error.code == ServerError::ER_XAER_RMFAIL as u16 => return Ok(false),
            answer => answer?,
        },
        Lasting::Yes => return Ok(false),
    }
    // `COM_RESET_CONNECTION`, or `COM_CHANGE_USER` if the server lacks that.
    conn.driver.set_local_infile_handler(None);
    conn.driver.reset()?;

    let letters = conn.baseline.letters.clone();
    // The user's statements use those character sets, and do not run if the role is wrong.
    let mut found = conn.ask(&letters)?;
    conn.judge()?;
    if !conn.opts.get_init().is_empty() {
        conn.init()?;
        found = conn.ask("")?;
    }
    if found != conn.baseline.standing && !goes_home(conn, &found)? {
        return Ok(false);
    }
    conn.health.renew();
    conn.tracker.forget();
    conn.statements.clear();
    Ok(true)
}

/// Restores what `COM_RESET_CONNECTION` leaves unchanged: the current database, and with MariaDB the role. Leaves sessions of another
/// user, or opened under other server settings, as they are.
fn goes_home(conn: &mut Connection, found: &Standing) -> Result<bool> {
    let Connection { driver, baseline, .. } = conn;
    if (&found.user, &found.tells) != (&baseline.standing.user, &baseline.standing.tells) {
        return Ok(false);
    }
    if let (Some(database), true) = (&baseline.standing.database, found.role == baseline.standing.role) {
        driver.select_db(database)?;
        return Ok(true);
    }
    // Only a new log-in can deselect the database, or set no role or several roles.
    driver.change_user(ChangeUserOpts::DEFAULT)?;
    driver.query_drop(&baseline.letters)?;
    conn.init()?;
    Ok(conn.ask("")? == conn.baseline.standing)
}
