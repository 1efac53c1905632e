//! Makes a session as good as new after a loan, in one round trip.
//!
//! Owns the commands and their order. Never `DISCARD ALL` or `DEALLOCATE ALL`: they take away statements that the driver
//! itself has prepared and goes on using, which breaks the connection for good.

use crate::connection::Connection;
use cabrank::SessionState;
use postgres::error::SqlState;
use postgres::{Error, SimpleQueryMessage};

/// Undoes what the last holder did. An error means that it cannot be undone, and the connection must be closed.
pub(crate) fn reset(conn: &mut Connection) -> Result<(), Error> {
    let session = conn.tap().map_or(SessionState::Unknown, |tap| tap.session(false));
    let rest = if conn.transaction_pooler { "" } else { REST };

    // Outside of a transaction ROLLBACK puts a warning into the server's log, and BEGIN does so inside of one. In an
    // aborted one BEGIN fails, and nothing has been done.
    let mut run = |head: &str| conn.client.simple_query(&format!("{head}{rest}"));
    let answer = match session {
        SessionState::InTransaction => run("ROLLBACK")?,
        _ => match run("BEGIN; ROLLBACK") {
            Err(error) if error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => run("ROLLBACK")?,
            answer => answer?,
        },
    };
    if let Some(tap) = conn.tap() {
        tap.tracker().all_answered();
    }
    if conn.transaction_pooler {
        return Ok(());
    }

    deallocate(conn, &answer)?;
    // What came for the last holder is not for the next. There is nothing left to wait for, so this waits for nothing.
    let mut notifications = conn.client.notifications();
    let mut waiting = notifications.iter();
    while postgres::fallible_iterator::FallibleIterator::next(&mut waiting)?.is_some() {}
    Ok(())
}

/// Frees the statements that SQL's own PREPARE has made, be it within a function: no command frees those and leaves the
/// driver's. One that bears such a name as the driver gives stands where one of the driver's was.
fn deallocate(conn: &mut Connection, answer: &[SimpleQueryMessage]) -> Result<(), Error> {
    let names = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.try_get("cabrank_prepared_by_sql").ok().flatten(),
        _ => None,
    });
    let names: Vec<&str> = names.collect();
    if names.iter().any(|name| name.strip_prefix('s').is_some_and(|number| number.parse::<u64>().is_ok())) {
        conn.clear_statement_cache();
        if let Some(tap) = conn.tap() {
            tap.tracker().forgotten();
        }
    }
    let frees: Vec<_> = names.iter().map(|name| format!("DEALLOCATE \"{}\"", name.replace('"', "\"\""))).collect();
    if frees.is_empty() { Ok(()) } else { conn.client.batch_execute(&frees.join(";")) }
}

/// The role first, for what follows is done with its rights. The locks are released whether there are any or not: looking
/// would cost the same.
const REST: &str = "; CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
    SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD SEQUENCES; DISCARD TEMP; \
    SELECT name AS cabrank_prepared_by_sql FROM pg_catalog.pg_prepared_statements WHERE from_sql";
