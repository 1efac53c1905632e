//! Makes a session as good as new after a loan, and finds out whether the replies still belong to the commands.

use crate::connection::Connection;
use crate::health::Health;
use mysql::prelude::Queryable;
use mysql::{ChangeUserOpts, Error, Result};
use std::io;

/// Undoes what the last holder did. An error means that the connection must be closed.
pub(crate) fn reset(conn: &mut Connection) -> Result<()> {
    conn.health.end(); // Of a transaction that was leaked.
    conn.health.enter()?;
    if conn.driver.connection_id() != conn.home.connection_id {
        return Err(lasting("the last holder exchanged the driver's connection"));
    }
    // `COM_RESET_CONNECTION`, or `COM_CHANGE_USER` where the server does not know that.
    conn.driver.set_local_infile_handler(None);
    conn.driver.reset()?;
    init(conn)?;
    go_home(conn)?;
    conn.health = Health::default();
    Ok(())
}

/// One round trip that proves that the server is there and that its replies are to our commands.
pub(crate) fn check(conn: &mut Connection) -> Result<()> {
    conn.health.enter()?;
    ask(conn).map(drop)
}

/// Who the session belongs to and where it is, asked in a way that no late reply can answer.
pub(crate) fn ask(conn: &mut Connection) -> Result<Standing> {
    let nonce = fastrand::u64(..);
    let question = format!("SELECT {nonce}, CURRENT_USER(), {ROLE}, DATABASE()");
    let asked = conn.driver.query_first_opt::<(u64, String, Option<String>, Option<String>), _>(question);
    match conn.health.saw(asked)? {
        Some(Ok((answer, user, role, database))) if nonce == answer => Ok(Standing { user, role, database }),
        _ => {
            conn.health.condemn();
            Err(lasting("the server's replies have slipped: this one belongs to an earlier command"))
        }
    }
}

/// Runs the statements that the options ask for on each new session. The driver would not do so after every kind of
/// reset.
pub(crate) fn init(conn: &mut Connection) -> Result<()> {
    for statement in conn.opts.get_init() {
        conn.driver.query_drop(statement)?;
    }
    Ok(())
}

/// What a reset must find as it was when the connection was opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    user: String,
    role: Option<String>,
    database: Option<String>,
}

/// Puts back what `COM_RESET_CONNECTION` leaves as the holder left it: the current database, and with MariaDB the role.
fn go_home(conn: &mut Connection) -> Result<()> {
    let found = ask(conn)?;
    let Some(home) = &conn.home.standing else { return Ok(()) };
    if found == *home {
        return Ok(());
    }
    if found.user != home.user {
        return Err(lasting("the last holder left it to another user"));
    }
    match &home.database {
        Some(database) if found.role == home.role => return conn.driver.select_db(database),
        _ => {}
    }
    // There is no way to select no database, and to take on no or several roles, but to log in anew.
    conn.driver.change_user(ChangeUserOpts::DEFAULT)?;
    init(conn)?;
    let found = Some(ask(conn)?);
    if found == conn.home.standing { Ok(()) } else { Err(lasting("the last holder's role or database cannot be left")) }
}

fn lasting(why: &str) -> Error {
    Error::IoError(io::Error::other(format!("the connection cannot be used again: {why}")))
}

/// The current role, where there are roles: from MySQL 8.0 and MariaDB 10.0 on. The driver does not tell which server it is.
const ROLE: &str = "COALESCE(NULL /*!80000 , CURRENT_ROLE() */ /*M!100005 , CURRENT_ROLE() */)";
