//! For connections of the crate `mysql`: `COM_RESET_CONNECTION` after each loan that used its connection.
//!
//! Costs a round trip, in a worker, and the prepared statements. The driver then sends its `init` statements again. If the manager's
//! `has_broken` is a ping, as that of `r2d2_mysql`, that ping is no longer sent. `cabrank-mysql` resets only sessions that need it.
//!
//! ```no_run
//! use cabrank_r2d2::{R2d2Manager, mysql as clean};
//! # fn manager<M: r2d2::ManageConnection<Connection = mysql::Conn>>(manager: M) -> R2d2Manager<M> {
//! R2d2Manager::new(manager).clean(clean::look, clean::reset)
//! # }
//! ```

use crate::BoxError;
use cabrank::SessionState;
use mysql::Conn;

/// The driver exposes no session state.
pub fn look(_: &mut Conn) -> SessionState {
    SessionState::Unknown
}

/// Resets the session.
///
/// # Errors
///
/// The driver's. The pool then closes the connection.
pub fn reset(conn: &mut Conn) -> Result<(), BoxError> {
    Ok(conn.reset()?)
}
