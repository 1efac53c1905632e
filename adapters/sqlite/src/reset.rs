//! Makes a session as good as new after a loan.
//!
//! Owns the order of the steps. What there is to put back is `baseline.rs`; what needs to be is `tracker.rs`.

use crate::baseline::{drop_temporary, set_busy_timeout};
use crate::connection::Connection;
use crate::error::lasting;
use crate::tracker::{Trace, Tracker};
use rusqlite::TransactionBehavior;
use rusqlite::hooks::{AuthContext, Authorization};
use std::time::Duration;

/// Undoes what the last holder did. An error means that it cannot be undone, and the connection must be closed.
pub(crate) fn reset(conn: &mut Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    let driver = &mut conn.driver;
    // Neither ROLLBACK nor close gets rid of a statement that was leaked while it ran; it keeps its snapshot for good.
    if driver.is_busy() {
        return Err(lasting("a statement was leaked while it ran"));
    }

    // The holder's hooks go first: they could forbid or undo all that follows, and must not see it.
    let whole = conn.tracker.is_whole();
    if !whole {
        driver.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        driver.commit_hook(None::<fn() -> bool>)?;
        driver.rollback_hook(None::<fn()>)?;
        driver.progress_handler(0, None::<fn() -> bool>)?;
    }
    conn.baseline.restore_driver_settings(driver)?;
    driver.set_transaction_behavior(TransactionBehavior::Deferred);
    set_busy_timeout(driver, busy_timeout)?;

    if !driver.is_autocommit() {
        driver.execute_batch("ROLLBACK")?;
    }
    conn.baseline.restore_checkpoints(driver)?;

    let seen = conn.tracker.traces();
    let traces = if whole { seen } else { seen | Trace::ANYTHING };
    if traces.has(Trace::LASTING) {
        return Err(lasting("the last holder used a PRAGMA or an extension that nothing undoes"));
    }
    if traces.has(Trace::JOURNAL) && !conn.baseline.has_journal_mode_of(driver)? {
        return Err(lasting("the last holder changed the journal mode"));
    }
    if traces.has(!Trace::SETTING) {
        // A kept statement that runs again is not prepared again, and so not seen. (Most are, because what undoes them
        // happens to expire them; nothing promises that.)
        driver.flush_prepared_statement_cache();
    }
    if traces.has(Trace::TEMPORARY) {
        drop_temporary(driver)?;
    }
    if traces.has(Trace::ATTACHED) && !conn.baseline.restore_attached(driver)? {
        return Err(lasting("the last holder detached a database"));
    }
    // After the rest, which needs to write: dropping a temporary object is refused under `query_only`.
    let pragmas = if traces.has(Trace::TEMPORARY) { Trace::ANYTHING } else { traces };
    conn.baseline.restore_pragmas(driver, pragmas)?;

    if !whole {
        conn.tracker = Tracker::install(driver)?;
    }
    conn.tracker.forget();
    Ok(())
}
