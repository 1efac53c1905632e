//! Finds out what a command met whose end nobody saw: its rows were in the holder's hands as the driver's own, which keep errors
//! to themselves when they are dropped, or a closure panicked among them.
//!
//! Owns the question. When it is asked is `Connection::ready`.

use crate::connection::Connection;
use crate::reset::{last_row, lasting};
use mysql::prelude::Queryable;
use mysql::{Conn, Error, MySqlError, Result, Row, from_row_opt};

/// Asks the server which errors the last command met, and tells the connection's health.
///
/// `SHOW WARNINGS` leaves the warnings for the holder to ask for, and `FOUND_ROWS()`; only `ROW_COUNT()` suffers.
pub(crate) fn ask(conn: &mut Connection) -> Result<()> {
    conn.tracker.doubt();
    let answer = errors(&mut conn.driver);
    for error in conn.health.saw(answer)? {
        conn.health.met(&Error::MySqlError(error.clone()));
        if error.code == UNKNOWN {
            conn.health.presume_rolled_back(error);
        }
    }
    conn.tracker.done();
    Ok(())
}

fn errors(driver: &mut Conn) -> Result<Vec<MySqlError>> {
    let mut rows = driver.query_iter("SHOW WARNINGS")?;
    // No late reply to anything else looks like this.
    let names = rows.columns().as_ref().iter().map(|column| column.name_str().into_owned()).collect::<Vec<_>>();
    let found = rows.by_ref().collect::<Result<Vec<Row>>>()?;
    let is_last = rows.iter().is_none();
    drop(rows);
    let found =
        found.into_iter().map(from_row_opt::<(String, u16, Vec<u8>)>).collect::<std::result::Result<Vec<_>, _>>();
    let (true, true, Ok(found)) = (names == ["Level", "Code", "Message"], is_last, found) else {
        return Err(lasting("the server's replies have slipped: this one belongs to an earlier command"));
    };
    let full = !found.is_empty();
    let errors = found.into_iter().filter(|(level, ..)| level == "Error");
    let mut errors: Vec<_> = errors.map(|(_, code, message)| error(code, &String::from_utf8_lossy(&message))).collect();
    // Where there were many warnings there was no room for the error.
    if errors.is_empty() && full {
        let count = last_row(driver, "SELECT @@error_count")?.map(from_row_opt::<(u64,)>);
        if !matches!(count, Some(Ok((0,)))) {
            errors.push(error(UNKNOWN, "an error of which the server keeps no record for want of room"));
        }
    }
    Ok(errors)
}

fn error(code: u16, message: &str) -> MySqlError {
    MySqlError { state: "HY000".into(), message: message.into(), code }
}

/// ER_UNKNOWN_ERROR.
const UNKNOWN: u16 = 1105;
