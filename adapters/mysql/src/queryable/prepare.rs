//! Preparing and closing: what is sent to the server, and when. `statements/` and the driver's cache keep the statements.

use crate::connection::Connection;
use crate::error::{size_of_text, told};
use crate::fault::is_for_want_of_room;
use crate::statements::Asked;
use mysql::prelude::Queryable;
use mysql::{Result, Statement};

/// The statement of a text, from the driver's cache or prepared now.
pub(super) fn prepare(conn: &mut Connection, text: &str) -> Result<Statement> {
    conn.ready()?;
    close_surplus(conn);
    let mut statement = prepare_by_driver(conn, text)?;
    match conn.statements.asked_for(statement.id()) {
        Asked::Kept { is_harmless } => {
            conn.tracker.prepared(text, Some(is_harmless));
            return Ok(statement);
        }
        Asked::Stale => {
            conn.statements.forget(statement.id());
            close(conn, statement);
            statement = prepare_by_driver(conn, text)?;
        }
        Asked::New => {}
    }
    let is_harmless = conn.tracker.prepared(text, None);
    conn.statements.prepared(statement.id(), statement.clone(), text, is_harmless);
    Ok(statement)
}

/// If the server has no room for another statement, this closes an unused one of this connection and retries.
fn prepare_by_driver(conn: &mut Connection, text: &str) -> Result<Statement> {
    let (size, largest) = (size_of_text(text), conn.baseline.largest_packet);
    loop {
        let prepared = conn.driver.prep(text).map_err(|error| told(error, size, largest));
        if prepared.as_ref().is_err_and(is_for_want_of_room)
            && let Some(statement) = conn.statements.next_unheld()
        {
            close(conn, statement);
            continue;
        }
        let prepared = prepared.inspect_err(|_| conn.tracker.doubt());
        return conn.health.saw(prepared);
    }
}

/// Closes the statements beyond the limits, without a round trip.
pub(super) fn close_surplus(conn: &mut Connection) {
    while let Some(statement) = conn.statements.next_surplus() {
        close(conn, statement);
    }
}

/// The server sends no answer. The connection keeps an error, and returns it to the next command.
fn close(conn: &mut Connection, statement: Statement) {
    let closed = conn.driver.close(statement);
    let _ = conn.health.saw(closed);
}
