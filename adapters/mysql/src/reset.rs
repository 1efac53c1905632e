//! Makes a session as good as new after a loan.
//!
//! Owns the order of the steps. What there is to put back is `baseline.rs`.

use crate::baseline::Standing;
use crate::connection::Connection;
use crate::error::unusable;
use crate::sql::Lasting;
use mysql::prelude::Queryable;
use mysql::{ChangeUserOpts, Error, Result, ServerError};

/// Undoes what the last holder did. `false`: something of it cannot be undone.
pub(crate) fn reset(conn: &mut Connection) -> Result<bool> {
    conn.health.end(); // Of a transaction that was leaked.
    conn.health.enter()?;
    if conn.driver.connection_id() != conn.baseline.connection_id {
        return Err(unusable("the last holder exchanged the driver's connection"));
    }
    match conn.tracker.lasting() {
        Lasting::No => {}
        // A branch of an XA transaction refuses, and must not meet the reset.
        Lasting::Hidden => match conn.driver.query_drop("ROLLBACK") {
            Err(Error::MySqlError(error)) if error.code == ServerError::ER_XAER_RMFAIL as u16 => return Ok(false),
            answer => answer?,
        },
        Lasting::Yes => return Ok(false),
    }
    // `COM_RESET_CONNECTION`, or `COM_CHANGE_USER` where the server does not know that.
    conn.driver.set_local_infile_handler(None);
    conn.driver.reset()?;

    let letters = conn.baseline.letters.clone();
    // The user's statements are written in those letters, and not run where the role is wrong.
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

/// Puts back what `COM_RESET_CONNECTION` leaves as the holder left it: the current database, and with MariaDB the role.
/// Another user's session, and one that was opened under other settings of the server, are left as they are.
fn goes_home(conn: &mut Connection, found: &Standing) -> Result<bool> {
    let Connection { driver, baseline, .. } = conn;
    if (&found.user, &found.tells) != (&baseline.standing.user, &baseline.standing.tells) {
        return Ok(false);
    }
    if let (Some(database), true) = (&baseline.standing.database, found.role == baseline.standing.role) {
        driver.select_db(database)?;
        return Ok(true);
    }
    // There is no way to select no database, and to take on no or several roles, but to log in anew.
    driver.change_user(ChangeUserOpts::DEFAULT)?;
    driver.query_drop(&baseline.letters)?;
    conn.init()?;
    Ok(conn.ask("")? == conn.baseline.standing)
}
