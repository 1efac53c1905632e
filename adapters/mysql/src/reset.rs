//! Makes a session as good as new after a loan.
//!
//! Owns the order of the steps. What there is to put back is `baseline.rs`.

use crate::baseline::Standing;
use crate::connection::Connection;
use crate::error::lasting;
use crate::sql::Lasting;
use mysql::prelude::Queryable;
use mysql::{ChangeUserOpts, Result};

/// Undoes what the last holder did. An error means that the connection must be closed.
pub(crate) fn reset(conn: &mut Connection) -> Result<()> {
    conn.health.end(); // Of a transaction that was leaked.
    conn.health.enter()?;
    if conn.driver.connection_id() != conn.baseline.connection_id {
        return Err(lasting("the last holder exchanged the driver's connection"));
    }
    match conn.tracker.lasting() {
        Lasting::No => {}
        // A branch of an XA transaction refuses, and must not meet the reset.
        Lasting::Hidden => conn.driver.query_drop("ROLLBACK")?,
        Lasting::Yes(deed) => return Err(lasting(&format!("the last holder {deed}"))),
    }
    // `COM_RESET_CONNECTION`, or `COM_CHANGE_USER` where the server does not know that.
    conn.driver.set_local_infile_handler(None);
    conn.driver.reset()?;

    let letters = conn.baseline.letters.clone();
    let found = if conn.opts.get_init().is_empty() {
        conn.ask(&letters)?
    } else {
        // The user's statements are written in those letters.
        conn.driver.query_drop(&letters)?;
        conn.init()?;
        conn.ask("")?
    };
    if found != conn.baseline.standing {
        go_home(conn, &found)?;
    }
    conn.health.renew();
    conn.tracker.forget();
    Ok(())
}

/// Puts back what `COM_RESET_CONNECTION` leaves as the holder left it: the current database, and with MariaDB the role.
fn go_home(conn: &mut Connection, found: &Standing) -> Result<()> {
    let Connection { driver, baseline, .. } = conn;
    if found.user != baseline.standing.user {
        return Err(lasting("the last holder left it to another user"));
    }
    if found.tells != baseline.standing.tells {
        return Err(lasting("the server's settings are not those under which it was opened"));
    }
    if let (Some(database), true) = (&baseline.standing.database, found.role == baseline.standing.role) {
        return driver.select_db(database);
    }
    // There is no way to select no database, and to take on no or several roles, but to log in anew.
    driver.change_user(ChangeUserOpts::DEFAULT)?;
    driver.query_drop(&baseline.letters)?;
    conn.init()?;
    if conn.ask("")? == conn.baseline.standing {
        Ok(())
    } else {
        Err(lasting("the last holder's role or database cannot be left"))
    }
}
