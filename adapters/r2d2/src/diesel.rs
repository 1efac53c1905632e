//! For Diesel's connections: open transactions are rolled back between two holders.
//!
//! Diesel's transaction manager shows a transaction begun through it, but not one begun by `batch_execute("BEGIN")`. Settings and locks
//! of a session are not undone.
//! ```no_run
//! use cabrank::Pool;
//! use cabrank_r2d2::{R2d2Manager, diesel as clean};
//! # use diesel::r2d2::R2D2Connection;
//! use diesel::r2d2::ConnectionManager;
//!
//! # fn pool<C: R2D2Connection + Send + 'static>(url: &str) -> Result<(), Box<dyn std::error::Error>> {
//! // C: `PgConnection`, `MysqlConnection` or `SqliteConnection`.
//! let manager = R2d2Manager::new(ConnectionManager::<C>::new(url)).clean(clean::look, clean::roll_back);
//! let pool = Pool::builder().build(manager)?;
//! let mut conn = pool.get()?;
//! conn.batch_execute("SELECT 1")?;
//! # Ok(())
//! # }
//! ```

use crate::{BoxError, DriverError, R2d2Manager};
use cabrank::{BuildError, Pool, SessionState};
use diesel::connection::TransactionManager;
use diesel::r2d2::{ConnectionManager, R2D2Connection};
use std::time::Duration;

/// Returns whether a transaction is open, as Diesel sees it, without a query. One begun by `begin_test_transaction` does not count.
pub fn look<C: R2D2Connection>(conn: &mut C) -> SessionState {
    if conn.is_broken() { SessionState::InTransaction } else { SessionState::Clean }
}

/// Rolls back open transactions, nested ones included.
///
/// # Errors
///
/// Diesel's, if the server does not answer or Diesel has lost count of its transactions. The pool then closes the connection.
pub fn roll_back<C: R2D2Connection>(conn: &mut C) -> Result<(), BoxError> {
    while conn.is_broken() {
        C::TransactionManager::rollback_transaction(conn)?;
    }
    Ok(())
}

/// A pool for tests: one connection, in one transaction that is never committed. Each loan sees the writes of earlier ones, and nothing
/// is left when the pool ends.
///
/// The pool never checks its connection, closes it for its age, or resets it, because each would end the transaction.
///
/// # Errors
///
/// If the connection cannot be opened.
pub fn test_pool<C>(url: &str) -> Result<Pool<R2d2Manager<ConnectionManager<C>>>, BuildError<DriverError>>
where
    C: R2D2Connection + Send + 'static,
{
    let manager = R2d2Manager::new(ConnectionManager::new(url)).clean(look, roll_back);
    Pool::builder()
        .name("test")
        .max_size(1)
        .check_after(Duration::MAX)
        .max_lifetime(Duration::MAX)
        .idle_timeout(Duration::MAX)
        .on_open(|conn: &mut C, _| conn.begin_test_transaction().map_err(DriverError::of))
        .build(manager)
}
