//! Makes a session as good as new after a loan.
//!
//! Owns the order of the steps. What there is to put back is `baseline.rs`; what needs to be is `tracker.rs`.

use crate::baseline::{Baseline, drop_temporary};
use crate::connection::Connection;
use crate::hooks::Authorizer;
use crate::tracker::Tracker;
use crate::watch::Trace;
use rusqlite::TransactionBehavior;

/// Undoes what the last holder did. `false`: something of it cannot be undone.
pub(crate) fn reset(conn: &mut Connection, authorizer: Option<&Authorizer>) -> rusqlite::Result<bool> {
    // Neither ROLLBACK nor close gets rid of what was leaked while it ran; it keeps its snapshot or its lock for good.
    if !conn.is_at_rest() {
        return Ok(false);
    }

    // The holder's hooks go first: they could forbid or undo all that follows, and must not see it.
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
        // A kept statement that runs again is not prepared again, and so not seen. (Most are, because what undoes them
        // happens to expire them; nothing promises that.)
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
