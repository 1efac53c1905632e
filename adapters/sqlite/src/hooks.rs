//! The hooks that track a connection.
//!
//! The authorizer detects what a holder's statements do; the others are placeholders whose absence shows that a holder set its own. The
//! record is in `watch.rs`, the effects of pragmas in `pragmas.rs`.

use crate::pragmas;
use crate::watch::{Phase, Trace, Watch, trace_of};
use rusqlite::hooks::{Action, AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, Result};
use std::sync::{Arc, Weak};

/// The user's, called before each action of a holder.
pub(crate) type Authorizer = Arc<dyn Fn(AuthContext<'_>) -> Authorization + Send + Sync>;

/// Sets all hooks of `conn`, replacing its own. Each keeps one reference to `watch`. The returned value lives as long as the authorizer.
/// The prepared statements of `conn` are prepared again when they next run.
pub(crate) fn install(conn: &mut Connection, watch: &Arc<Watch>, user: Option<&Authorizer>) -> Result<Weak<()>> {
    let alive = Arc::new(());
    let in_place = Arc::downgrade(&alive);
    let (seen, user) = (Arc::clone(watch), user.cloned());
    conn.authorizer(Some(move |context: AuthContext<'_>| {
        let _ = &alive;
        authorize(&seen, user.as_ref(), &context)
    }))?;

    // Placeholders without effect. The progress handler's interval is too long for it ever to run, and the row hook costs some
    // nanoseconds a row.
    let kept = Arc::clone(watch);
    conn.commit_hook(Some(move || {
        let _ = &kept;
        false
    }))?;
    let kept = Arc::clone(watch);
    conn.rollback_hook(Some(move || {
        let _ = &kept;
    }))?;
    let kept = Arc::clone(watch);
    conn.progress_handler(
        i32::MAX,
        Some(move || {
            let _ = &kept;
            false
        }),
    )?;
    let kept = Arc::clone(watch);
    conn.update_hook(Some(move |_: Action, _: &str, _: &str, _: i64| {
        let _ = &kept;
    }))?;
    Ok(in_place)
}

/// Records what a statement will do to the session, unless it is the adapter's own or is refused.
fn authorize(watch: &Watch, user: Option<&Authorizer>, context: &AuthContext<'_>) -> Authorization {
    let verdict = match watch.phase() {
        Phase::Ours => return Authorization::Allow,
        Phase::Opening => Authorization::Allow,
        Phase::Lent => {
            watch.prepares();
            if let Some(place) = set_of_the_process(context) {
                watch.refuse(place);
                return Authorization::Deny;
            }
            user.map_or(Authorization::Allow, |user| user(*context))
        }
    };
    let trace = trace_of(context);
    if trace != Trace::NONE && verdict != Authorization::Deny {
        watch.mark(trace);
    }
    verdict
}

/// The index of the refused pragma, which would change all connections of the process and not just the session.
fn set_of_the_process(context: &AuthContext<'_>) -> Option<usize> {
    match context.action {
        AuthAction::Pragma { pragma_name, pragma_value: Some(_) } => pragmas::place_in_process(pragma_name),
        _ => None,
    }
}
