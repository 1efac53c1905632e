//! Makes a session as good as new after a loan.
//!
//! Owns the order of the steps. What there is to put back is `baseline.rs`; what needs to be is `tracker.rs`.

use crate::baseline::{Baseline, drop_temporary};
use crate::connection::Connection;
use crate::error::lasting;
use crate::hooks::Authorizer;
use crate::tracker::Tracker;
use crate::watch::Trace;
use rusqlite::TransactionBehavior;

/// Undoes what the last holder did. An error means that it cannot be undone, and the connection must be closed.
pub(crate) fn reset(conn: &mut Connection, authorizer: Option<&Authorizer>) -> rusqlite::Result<()> {
    // Neither ROLLBACK nor close gets rid of what was leaked while it ran; it keeps its snapshot or its lock for good.
    if !conn.is_at_rest() {
        return Err(lasting("a statement, a blob or a backup was leaked while it ran"));
    }

    // The holder's hooks go first: they could forbid or undo all that follows, and must not see it.
    let mut traces = conn.tracker.traces();
    let whole = conn.tracker.is_whole();
    if conn.tracker.has_adopted() && (!whole || traces.has(Trace::HOOK)) {
        return Err(lasting("the last holder replaced a hook, where with_init had set some"));
    }
    if !whole {
        conn.tracker = Tracker::install(&conn.driver, authorizer)?;
        traces = traces | Trace::ANYTHING;
    }
    let Connection { driver, tracker, baseline, .. } = conn;
    tracker.unwatched(|| undo(driver, baseline, traces))?;
    tracker.forget();
    conn.forget_last_row();
    Ok(())
}

fn undo(driver: &mut rusqlite::Connection, baseline: &Baseline, traces: Trace) -> rusqlite::Result<()> {
    baseline.restore_driver_settings(driver)?;
    driver.set_transaction_behavior(TransactionBehavior::Deferred);
    if !baseline.restore_busy_timeout(driver, traces)? {
        return Err(lasting(
            "the last holder changed how to wait for locks, where with_init set a busy handler or none",
        ));
    }

    if !driver.is_autocommit() {
        driver.execute_batch("ROLLBACK")?;
    }
    if !baseline.restore_checkpoints(driver, traces)? {
        return Err(lasting("the last holder changed the checkpoints, where with_init set a WAL hook or none"));
    }

    if traces.has(Trace::LASTING) {
        return Err(lasting("the last holder used a PRAGMA or an extension that nothing undoes"));
    }
    if traces.has(Trace::JOURNAL) && !baseline.has_journal_mode_of(driver)? {
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
    if traces.has(Trace::ATTACHED) && !baseline.restore_databases(driver)? {
        return Err(lasting("the last holder detached or replaced a database"));
    }
    let pragmas = if traces.has(Trace::TEMPORARY) { Trace::ANYTHING } else { traces };
    baseline.restore_pragmas(driver, pragmas)
}
