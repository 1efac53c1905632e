//! The way back: from the end of a loan to the next borrower, a reset, or the end of the connection.

use crate::config::SessionPolicy;
use crate::contain::contained;
use crate::entry::Entry;
use crate::event::{Called, CheckedIn};
use crate::limit::Limit;
use crate::manager::{Manager, Session};
use crate::reason::CloseReason;
use crate::shared::{Loan, Shared};
use crate::sync::{self, Ordering};
use std::sync::Arc;

/// Ends a loan. Takes microseconds: looks at the connection without asking the server, and leaves the rest to the crew.
#[inline]
pub(crate) fn checkin<M: Manager>(loan: Loan<M>) {
    let Loan { slot, mut entry } = loan;
    let shared = slot.shared();
    entry.uses += 1;
    let needs_reset = inspect(shared, &mut entry);
    let id = entry.id;
    let shared = slot.give_back();
    let now = sync::now();
    let used = shared.with(now, |state, todo| {
        if entry.condemned == Some(CloseReason::Broken) {
            state.died(&entry);
        }
        state.check_in(entry, needs_reset, now, todo)
    });
    shared.tell(|events| events.checked_in(&CheckedIn { pool: &shared.config.name, id, used }));
}

/// Looks at what came back. A connection that must not go on is condemned; otherwise: does it need a reset?
#[inline]
fn inspect<M: Manager>(shared: &Arc<Shared<M>>, entry: &mut Entry<M::Connection>) -> bool {
    if entry.condemned.is_some() {
        return false;
    }
    if std::thread::panicking() {
        // Nobody knows in what state the holder left it. No code of the driver's runs while this thread unwinds.
        entry.condemned = Some(CloseReason::Panicked);
        return false;
    }
    match contained(|| shared.manager.has_broken(&mut entry.conn)) {
        Ok(false) => {}
        Ok(true) => entry.condemned = Some(CloseReason::Broken),
        Err(_) => entry.condemned = Some(CloseReason::Panicked),
    }
    let touched = entry.touched.swap(false, Ordering::Relaxed);
    if entry.condemned.is_some() || !touched {
        return false;
    }
    let session = match shared.config.session_policy {
        SessionPolicy::Never => return false,
        SessionPolicy::Always if M::REMOTE => return true,
        SessionPolicy::Always | SessionPolicy::Tracked => contained(|| shared.manager.session(&mut entry.conn)),
    };
    match session {
        Ok(Session::Clean) if shared.config.session_policy == SessionPolicy::Tracked => false,
        // An engine in this process, outside a transaction: surely small, so it is done here and now.
        Ok(Session::Clean | Session::Unknown) if !M::REMOTE => {
            reset_here(shared, entry);
            false
        }
        Ok(_) => true,
        Err(_) => {
            entry.condemned = Some(CloseReason::Panicked);
            false
        }
    }
}

fn reset_here<M: Manager>(shared: &Arc<Shared<M>>, entry: &mut Entry<M::Connection>) {
    let began = sync::now();
    let limit = Limit::new(&shared.name, began, shared.config.reset_timeout);
    let answer = contained(|| {
        shared.manager.reset(&mut entry.conn, &limit)?;
        shared.set_up(&mut entry.conn)
    });
    let now = sync::now();
    shared.with(now, |state, _| state.reset_ended(matches!(answer, Ok(Ok(())))));
    let error = match &answer {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            entry.condemned = Some(CloseReason::ResetFailed);
            Some(error as &(dyn std::error::Error + 'static))
        }
        Err(_) => {
            entry.condemned = Some(CloseReason::Panicked);
            None
        }
    };
    let took = now.saturating_duration_since(began);
    shared.tell(|events| events.reset(&Called { pool: &shared.config.name, id: entry.id, took, error }));
}
