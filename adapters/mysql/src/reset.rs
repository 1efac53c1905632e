//! Resets a session after a loan.
//!
//! Owns the order of the steps. `baseline.rs` holds the state to restore.

use crate::baseline::Standing;
use crate::connection::Connection;
use crate::error::unusable;
use crate::sql::Lasting;
use mysql::prelude::Queryable;
use mysql::{ChangeUserOpts, Error, Result, ServerError};

/// Undoes the last holder's changes. `false`: one of them cannot be undone.
pub(crate) fn reset(conn: &mut Connection) -> Result<bool> {
    conn.health.end(); // A leaked `Transaction` has not done so.
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

    let charset_sql = conn.baseline.charset_sql.clone();
    // Before `init`, whose statements need these character sets and must not run on a server in the wrong role.
    let mut found = conn.ask(&charset_sql)?;
    conn.judge()?;
    if !conn.opts.get_init().is_empty() {
        conn.init()?;
        found = conn.ask("")?;
    }
    if found != conn.baseline.standing && !restore_rest(conn, &found)? {
        return Ok(false);
    }
    conn.health.renew();
    conn.tracker.forget();
    conn.statements.clear();
    Ok(true)
}

/// Restores the rest, which `COM_RESET_CONNECTION` leaves unchanged: the current database, and in MariaDB the role. `false` if the user is
/// another, or if the server's settings now make it read texts differently.
fn restore_rest(conn: &mut Connection, found: &Standing) -> Result<bool> {
    let Connection { driver, baseline, .. } = conn;
    if (&found.user, found.texts_are_reliable) != (&baseline.standing.user, baseline.standing.texts_are_reliable) {
        return Ok(false);
    }
    if let (Some(database), true) = (&baseline.standing.database, found.role == baseline.standing.role) {
        driver.select_db(database)?;
        return Ok(true);
    }
    // Only a new log-in can deselect the database, or set no role or several roles.
    driver.change_user(ChangeUserOpts::DEFAULT)?;
    driver.query_drop(&baseline.charset_sql)?;
    conn.init()?;
    Ok(conn.ask("")? == conn.baseline.standing)
}
