//! For connections of the crate `postgres`: a reset after each loan that used its connection.
//!
//! Costs one round trip, in a worker. Undoes transactions, settings, roles, cursors, temporary tables, advisory locks of the session,
//! `LISTEN`. Keeps statements that a holder prepared, by the driver or by SQL's `PREPARE`. `cabrank-postgres` resets only sessions that
//! need it, and leaves nothing.
//!
//! ```no_run
//! use cabrank_r2d2::{R2d2Manager, postgres as clean};
//! # fn manager<M: r2d2::ManageConnection<Connection = postgres::Client>>(manager: M) -> R2d2Manager<M> {
//! R2d2Manager::new(manager).clean(clean::look, clean::reset)
//! # }
//! ```

use crate::BoxError;
use cabrank::SessionState;
use postgres::Client;
use postgres::error::SqlState;

/// The driver exposes no session state.
pub fn look(_: &mut Client) -> SessionState {
    SessionState::Unknown
}

/// Resets the session.
///
/// # Errors
///
/// The driver's. The pool then closes the connection.
pub fn reset(conn: &mut Client) -> Result<(), BoxError> {
    // Outside of a transaction ROLLBACK warns in the server's log. In an aborted one BEGIN fails, and nothing has been done.
    match conn.batch_execute(&format!("BEGIN; ROLLBACK; {REST}")) {
        Err(error) if error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => {
            conn.batch_execute(&format!("ROLLBACK; {REST}"))?;
        }
        answer => answer?,
    }
    Ok(())
}

/// Not `DISCARD ALL`, which removes statements that the driver still uses.
const REST: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
    SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD SEQUENCES; DISCARD TEMP";
