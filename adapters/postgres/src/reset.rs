//! Resets a session after a loan, in one round trip.
//!
//! Owns the commands and their order. Never `DISCARD ALL` or `DEALLOCATE ALL`: they remove statements that the driver itself has prepared
//! and still uses, which breaks the connection for good.

use crate::connection::Connection;
use crate::role::{STANDING, Said};
use cabrank::{Limit, SessionState};
use postgres::error::SqlState;
use postgres::{Error, SimpleQueryMessage};

/// Undoes the last holder's changes. `false`: something cannot be undone.
pub(crate) fn reset(conn: &mut Connection, limit: &Limit) -> Result<bool, Error> {
    if conn.tap().is_some_and(|tap| tap.tracker().is_lasting(conn.transaction_pooler)) {
        return Ok(false);
    }
    if !conn.end_unread(limit)? {
        return Ok(false);
    }
    conn.used = false;
    let session = conn.tap().map_or(SessionState::Unknown, |tap| tap.session(false));
    let rest = if conn.transaction_pooler { "" } else { REST };
    let asks = conn.doubts_role();
    let (and, question) = if asks { ("; ", STANDING) } else { ("", "") };

    // Outside of a transaction ROLLBACK puts a warning into the server's log, and BEGIN does so inside of one. In an aborted one BEGIN
    // fails, and nothing has been done.
    let mut run = |head: &str| conn.client.simple_query(&format!("{head}{rest}{and}{question}"));
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
    conn.judge(&if asks { Said::of(&answer) } else { Said::by(conn.shown()) })?;
    if conn.transaction_pooler {
        return Ok(true);
    }

    if !deallocate(conn, &answer)? {
        return Ok(false);
    }
    // The last holder's notifications are not for the next.
    conn.send_rest()?;
    Ok(true)
}

/// Frees the statements that SQL's own PREPARE has made, even within a function: no command frees those and keeps the driver's. The
/// driver's statements must all be present: `false` if one is gone, or was replaced.
fn deallocate(conn: &mut Connection, answer: &[SimpleQueryMessage]) -> Result<bool, Error> {
    let (mut frees, mut drivers) = (Vec::new(), 0);
    for message in answer {
        let SimpleQueryMessage::Row(row) = message else { continue };
        let Some(count) = row.try_get("cabrank_count").ok().flatten() else { continue };
        match row.get("cabrank_prepared") {
            Some(name) if is_drivers(name) => return Ok(false),
            Some(name) => frees.push(format!("DEALLOCATE \"{}\"", name.replace('"', "\"\""))),
            None => drivers = count.parse().unwrap_or(0),
        }
    }
    let known = conn.tap().map_or(conn.statements.len(), |tap| tap.tracker().prepared());
    if drivers < known {
        return Ok(false);
    }
    if !frees.is_empty() {
        conn.client.batch_execute(&frees.join(";"))?;
    }
    Ok(true)
}

/// The driver's naming scheme for its statements.
fn is_drivers(name: &str) -> bool {
    name.strip_prefix('s').is_some_and(|number| number.parse::<u64>().is_ok())
}

/// The role first, because it determines the rights of the next commands. The locks are always released: checking for them would cost the
/// same. `random` is always reseeded, because a holder's seed is undetectable.
const REST: &str = "; CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
    SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD SEQUENCES; DISCARD TEMP; \
    SELECT pg_catalog.setseed(('x' || pg_catalog.substr(pg_catalog.md5(pg_catalog.clock_timestamp()::text \
    || pg_catalog.pg_backend_pid()), 1, 8))::bit(32)::int / 2147483648.0); \
    SELECT CASE WHEN from_sql THEN name END AS cabrank_prepared, count(*) AS cabrank_count \
    FROM pg_catalog.pg_prepared_statements GROUP BY 1";
