//! Makes a session as good as new after a loan, and finds out whether the replies still belong to the commands.

use crate::connection::Connection;
use crate::health::Health;
use mysql::prelude::Queryable;
use mysql::{ChangeUserOpts, Error, Result};
use std::io;

/// Undoes what the last holder did. An error means that the connection must be closed.
pub(crate) fn reset(conn: &mut Connection) -> Result<()> {
    if conn.health.is_broken() {
        return conn.health.enter();
    }
    // `COM_RESET_CONNECTION`, or `COM_CHANGE_USER` where the server does not know that.
    conn.driver.set_local_infile_handler(None);
    conn.driver.reset()?;
    init(conn)?;

    let answer = ask(conn)?;
    if conn.driver.connection_id() != conn.home.connection_id || answer.user != conn.home.user {
        return Err(lasting("the last holder exchanged the connection or its user"));
    }
    // The one thing that the reset leaves as the holder left it.
    if answer.database != conn.home.database {
        go_home(conn)?;
    }
    conn.health = Health::default();
    Ok(())
}

/// One round trip that proves that the server is there and that its replies are to our commands.
pub(crate) fn check(conn: &mut Connection) -> Result<()> {
    conn.health.enter()?;
    ask(conn).map(drop)
}

/// Who the session belongs to and where it is, asked in a way that no late reply can answer.
pub(crate) fn ask(conn: &mut Connection) -> Result<Answer> {
    let nonce = fastrand::u64(..);
    let question = format!("SELECT {nonce}, CURRENT_USER(), DATABASE()");
    let asked = conn.driver.query_first_opt::<(u64, String, Option<String>), _>(question);
    match conn.health.saw(asked)? {
        Some(Ok((answer, user, database))) if nonce == answer => Ok(Answer { user, database }),
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

pub(crate) struct Answer {
    pub(crate) user: String,
    pub(crate) database: Option<String>,
}

fn go_home(conn: &mut Connection) -> Result<()> {
    if let Some(database) = &conn.home.database {
        return conn.driver.select_db(database);
    }
    // There is no way to select no database but to log in anew.
    conn.driver.change_user(ChangeUserOpts::DEFAULT)?;
    init(conn)?;
    match ask(conn)?.database {
        None => Ok(()),
        Some(_) => Err(lasting("the last holder selected a database, and it cannot be left")),
    }
}

fn lasting(why: &str) -> Error {
    Error::IoError(io::Error::other(format!("the connection cannot be reset: {why}")))
}
