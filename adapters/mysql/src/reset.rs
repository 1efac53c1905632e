//! Makes a session as good as new after a loan, and finds out whether the replies still belong to the commands.

use crate::connection::Connection;
use crate::health::Health;
use mysql::prelude::Queryable;
use mysql::{ChangeUserOpts, Conn, Error, Result, Row, from_row_opt};
use std::io;

/// Undoes what the last holder did. An error means that the connection must be closed.
pub(crate) fn reset(conn: &mut Connection) -> Result<()> {
    conn.health.end(); // Of a transaction that was leaked.
    conn.health.enter()?;
    if conn.driver.connection_id() != conn.home.connection_id {
        return Err(lasting("the last holder exchanged the driver's connection"));
    }
    if conn.tracker.is_lasting() {
        return Err(lasting("the last holder put it into a resource group"));
    }
    // `COM_RESET_CONNECTION`, or `COM_CHANGE_USER` where the server does not know that.
    conn.driver.set_local_infile_handler(None);
    conn.driver.reset()?;

    let letters = conn.home.letters.clone();
    let found = if conn.opts.get_init().is_empty() {
        ask(conn, &letters)?
    } else {
        // The user's statements are written in those letters.
        conn.driver.query_drop(&letters)?;
        init(conn)?;
        ask(conn, "")?
    };
    if found != conn.home.standing {
        go_home(conn, &found)?;
    }
    conn.health.renew();
    conn.tracker.forget();
    Ok(())
}

/// One round trip that proves that the server is there and that its replies are to our commands.
pub(crate) fn check(conn: &mut Connection) -> Result<()> {
    conn.health.enter()?;
    ask(conn, "").map(drop)
}

/// Runs the statements that the options ask for on each new session. The driver would not do so after every kind of
/// reset.
pub(crate) fn init(conn: &mut Connection) -> Result<()> {
    for statement in conn.opts.get_init() {
        conn.driver.query_drop(statement)?;
    }
    Ok(())
}

/// Runs a statement, if there is one, and asks in the same round trip how the session stands: in a way that no late
/// reply can answer.
pub(crate) fn ask(conn: &mut Connection, first: &str) -> Result<Standing> {
    let nonce = fastrand::u64(..);
    let question = format!("{first} SELECT {nonce}, CURRENT_USER(), {ROLE}, DATABASE(), {TELLS}");
    let answer = last_row(&mut conn.driver, &question);
    match conn.health.saw(answer)?.map(from_row_opt::<(u64, String, Option<String>, Option<String>, bool)>) {
        Some(Ok((answer, user, role, database, tells))) if nonce == answer => {
            Ok(Standing { user, role, database, tells })
        }
        _ => {
            conn.health.condemn();
            Err(lasting("the server's replies have slipped: this one belongs to an earlier command"))
        }
    }
}

/// What a reset must find as it was when the connection was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    user: String,
    role: Option<String>,
    database: Option<String>,
    tells: bool,
}

impl Standing {
    /// Do texts tell what becomes of this session? A statement outside of a transaction commits by itself, and COMMIT begins no
    /// other; and in these letters no byte of a character looks like a quote.
    pub(crate) fn tells(&self) -> bool {
        self.tells
    }
}

/// The statement that sets the character sets as they are now; and a connection's health, on a server that is set so.
///
/// MySQL's `COM_RESET_CONNECTION` takes them from the server's defaults and not from the log-in: with a server that
/// speaks latin1 by default, the driver's UTF-8 would be read as that from the second loan on.
pub(crate) fn settings(driver: &mut Conn) -> Result<(String, Health)> {
    let question = |on_timeout| format!("SELECT {LETTERS}, {on_timeout}");
    let answer = match last_row(driver, &question("@@innodb_rollback_on_timeout")) {
        Err(Error::MySqlError(error)) if error.code == UNKNOWN_VARIABLE => last_row(driver, &question("FALSE")),
        answer => answer,
    };
    let Some(Ok((client, results, collation, on_timeout))) =
        answer?.map(from_row_opt::<(String, Option<String>, String, bool)>)
    else {
        return Err(lasting("the server does not tell its character sets"));
    };
    let results = results.map_or("NULL".into(), |results| format!("'{results}'"));
    let letters = format!(
        "SET character_set_client = '{client}', character_set_results = {results}, \
         collation_connection = '{collation}';"
    );
    Ok((letters, Health::new(on_timeout)))
}

/// Puts back what `COM_RESET_CONNECTION` leaves as the holder left it: the current database, and with MariaDB the role.
fn go_home(conn: &mut Connection, found: &Standing) -> Result<()> {
    let Connection { driver, home, .. } = conn;
    if found.user != home.standing.user {
        return Err(lasting("the last holder left it to another user"));
    }
    if found.tells != home.standing.tells {
        return Err(lasting("the server's settings are not those under which it was opened"));
    }
    if let (Some(database), true) = (&home.standing.database, found.role == home.standing.role) {
        return driver.select_db(database);
    }
    // There is no way to select no database, and to take on no or several roles, but to log in anew.
    driver.change_user(ChangeUserOpts::DEFAULT)?;
    driver.query_drop(&home.letters)?;
    init(conn)?;
    if ask(conn, "")? == conn.home.standing {
        Ok(())
    } else {
        Err(lasting("the last holder's role or database cannot be left"))
    }
}

/// The last row of all that a text of several statements answers.
pub(crate) fn last_row(driver: &mut Conn, text: &str) -> Result<Option<Row>> {
    let (mut answer, mut last) = (driver.query_iter(text)?, None);
    while let Some(rows) = answer.iter() {
        for row in rows {
            last = Some(row?);
        }
    }
    Ok(last)
}

pub(crate) fn lasting(why: &str) -> Error {
    Error::IoError(io::Error::other(format!("the connection cannot be used again: {why}")))
}

const LETTERS: &str = "@@character_set_client, @@character_set_results, @@collation_connection";

/// ER_UNKNOWN_SYSTEM_VARIABLE: a server without InnoDB.
const UNKNOWN_VARIABLE: u16 = 1193;

/// The current role, where there are roles: from MySQL 8.0 and MariaDB 10.0 on. The driver does not tell which server it
/// is; such comments do.
const ROLE: &str = "COALESCE(NULL /*!80000 , CURRENT_ROLE() */ /*M!100005 , CURRENT_ROLE() */)";

/// See [`Standing::tells`]. A reset takes it from the server's settings, which may have changed since the session was opened: then it is
/// another session, and the connection is replaced.
const TELLS: &str = "@@autocommit = 1 AND @@completion_type = 'NO_CHAIN' \
    AND (@@character_set_client LIKE 'utf8%' OR @@character_set_client IN ('latin1', 'ascii'))";
