//! Resets a session after a loan.
//!
//! Owns the order of the steps. `baseline.rs` has what can be restored; `tracker.rs` has what must be.

use crate::baseline::{Baseline, drop_temporary};
use crate::connection::Connection;
use crate::hooks::Authorizer;
use crate::tracker::Tracker;
use crate::watch::Trace;
use rusqlite::TransactionBehavior;

/// Undoes the last holder's changes. `false`: something cannot be undone.
pub(crate) fn reset(conn: &mut Connection, authorizer: Option<&Authorizer>) -> rusqlite::Result<bool> {
    // Neither ROLLBACK nor close removes a running statement that was leaked; it keeps its snapshot or its lock for good.
    if !conn.is_at_rest() {
        return Ok(false);
    }

    // Removes the holder's hooks first: they could forbid or undo all later steps, and must not see them.
    let mut traces = conn.tracker.traces();
    let whole = conn.tracker.is_whole();
    // Those of `with_init` cannot be set again.
    if conn.tracker.has_adopted() && (!whole || traces.has(Trace::HOOK)) {
        return Ok(false);
    }
    if !whole {
        conn.tracker = Tracker::install(&mut conn.driver, authorizer)?;
        traces = traces | Trace::ANYTHING;
    }
    let Connection { driver, tracker, baseline, .. } = conn;
    if !tracker.unwatched(|| undo(driver, baseline, traces))? {
        return Ok(false);
    }
    tracker.forget();
    conn.forget_last_row();
    Ok(true)
}

fn undo(driver: &mut rusqlite::Connection, baseline: &Baseline, traces: Trace) -> rusqlite::Result<bool> {
    baseline.restore_driver_settings(driver)?;
    driver.set_transaction_behavior(TransactionBehavior::Deferred);
    if !baseline.restore_busy_timeout(driver, traces)? {
        return Ok(false);
    }

    if !driver.is_autocommit() {
        driver.execute_batch("ROLLBACK")?;
    }
    if !baseline.restore_checkpoints(driver, traces)? {
        return Ok(false);
    }

    if traces.has(Trace::LASTING) || traces.has(Trace::JOURNAL) && !baseline.has_journal_mode_of(driver)? {
        return Ok(false);
    }
    if traces.has(!Trace::SETTING) {
        // A cached statement that runs again is not prepared again, and so not seen. (Most are, because the steps that undo their effects
        // also expire them, but that is not guaranteed.)
        driver.flush_prepared_statement_cache();
    }
    if traces.has(Trace::TEMPORARY) {
        drop_temporary(driver)?;
    }
    if traces.has(Trace::ATTACHED) && !baseline.restore_databases(driver)? {
        return Ok(false);
    }
    let pragmas = if traces.has(Trace::TEMPORARY) { Trace::ANYTHING } else { traces };
    baseline.restore_pragmas(driver, pragmas)?;
    Ok(true)
}
