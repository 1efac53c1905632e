//! The way back: from the end of a loan to the next borrower, a reset, or the end of the connection. This file finds out what a returned
//! connection needs, and parks it if that is nothing; `state/loans.rs` has what happens under the lock.

use crate::config::SessionPolicy;
use crate::contain::contained;
use crate::entry::Entry;
use crate::event::CheckedIn;
use crate::gate::Stage;
use crate::manager::{Manager, SessionState};
use crate::reason::CloseReason;
use crate::shared::{Canceller, Held, LoanHooks, Shared, SlottedConnection, Verdict};
use crate::state::actions::Work;
use crate::{seeded, sync};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Ends a loan. Takes microseconds: looks at the connection without a round trip, and leaves the rest to the workers.
#[inline]
pub(crate) fn checkin<M: Manager>(held: Held<M>) {
    if !held.slotted.slot.shared().is_at_home() {
        return held.leave_to_parent();
    }
    let (shared, mut entry) = held.into_entry();
    if let Some(canceller) = entry.slotted.canceller.take() {
        end_canceller(&canceller, &mut entry.condemned);
    }
    if let Some(hooks) = &shared.hooks.of_loans {
        ask_on_return(&shared, hooks, &mut entry);
    }
    entry.uses += 1;
    let mut now = sync::now();
    let used = now.saturating_duration_since(entry.lent_at);
    let unwinds = std::thread::panicking();
    if unwinds {
        // The holder may have left it in any state, so it is closed. No user code runs while this thread unwinds: the worker that closes
        // the connection emits `checked_in`.
        entry.condemned.get_or_insert(CloseReason::Panicked);
        entry.untold = Some(used);
    } else if shared.hears_loans() {
        // Emitted before another borrower can have the connection.
        shared.emit(|events| events.checked_in(&CheckedIn { pool: &shared.config.name, id: entry.id, used }));
    }
    let need = inspect(&shared, &mut entry);
    entry.was_soiled = need != Need::Nothing;
    match need {
        // Nothing is to be done, and no other thread is concerned.
        Need::Nothing if entry.condemned.is_none() && !unwinds => match park(&shared, entry, used, now) {
            Some(back) => entry = back,
            None => return shared.leave_to_worker(),
        },
        Need::WasReset => now = sync::now(),
        Need::Nothing | Need::Worker(_) => {}
    }
    shared.with_at_home(now, |state, actions| {
        match (entry.condemned, need) {
            (None, Need::Nothing) => state.reset_skipped(),
            (None, Need::WasReset) => state.passed(&mut entry, Stage::Reset, now, actions),
            (Some(CloseReason::Broken), _) => state.broke_in_use(&entry, now, actions),
            // The manager or a hook panicked, not the holder.
            (Some(CloseReason::Panicked), _) if !unwinds => state.panicked_at_return(&entry, now, actions),
            (Some(CloseReason::WrongRole), _) => state.wrong_role_in_use(&entry, now, actions),
            (Some(CloseReason::BeyondReset), _) => state.sound_return(&mut entry, now, actions),
            _ => {}
        }
        state.check_in(entry, used, need.of_workers(), now, actions);
    });
    shared.leave_to_worker();
}

/// Parks the connection in the cell of this thread, without a lock, or returns it if it may not rest there.
#[inline]
fn park<M: Manager>(
    shared: &Arc<Shared<M>>,
    mut entry: Box<Entry<SlottedConnection<M>>>,
    used: Duration,
    now: Instant,
) -> Option<Box<Entry<SlottedConnection<M>>>> {
    let cell = shared.caches.cell(sync::seat());
    let (version, touched) = (cell.version(), entry.was_touched);
    if !entry.permit.as_mut().is_some_and(|permit| permit.end(version, used, touched)) {
        return Some(entry);
    }
    entry.last_used = now;
    let early = seeded::bug("looks_again_before_it_parks").then(|| cell.version());
    let displaced = cell.park(entry);
    // Were the cells shut before this connection lay there? Then perhaps no other thread comes to take it out.
    let is_shut = early.unwrap_or_else(|| cell.version()) != version && !seeded::bug("parks_without_a_second_look");
    if is_shut || displaced.is_some() {
        let late = if is_shut { cell.take() } else { None };
        bring_home(displaced, late, shared, now);
    }
    None
}

/// Gives the state what has no place in a cell. It was counted as returned when it was to be parked.
#[cold]
fn bring_home<M: Manager>(
    mut displaced: Option<Box<Entry<SlottedConnection<M>>>>,
    late: Option<Box<Entry<SlottedConnection<M>>>>,
    shared: &Arc<Shared<M>>,
    now: Instant,
) {
    if displaced.is_some() {
        // Another thread uses the same cell.
        let seat = sync::seat();
        sync::change_seat();
        if seeded::bug("parks_elsewhere_what_it_displaces") {
            displaced = displaced.and_then(|entry| shared.caches.cell(seat + 1).park(entry));
        }
    }
    shared.with_at_home(now, |state, actions| {
        displaced.into_iter().chain(late).for_each(|entry| state.come_home(entry, now, actions));
    });
}

/// Nothing is cancelled from here on. A cancel that was sent to a server may still arrive, and must not hit the next holder.
#[cold]
fn end_canceller(canceller: &Canceller, condemned: &mut Option<CloseReason>) {
    // A connection that a panicking thread returns gets no goodbye.
    if canceller.end() && !std::thread::panicking() {
        condemned.get_or_insert(CloseReason::Cancelled);
    }
}

/// Has `on_return` judge a connection that may be lent again. The hook is part of the loan, and does not run while this thread unwinds.
#[cold]
fn ask_on_return<M: Manager>(shared: &Shared<M>, hooks: &LoanHooks<M>, entry: &mut Entry<SlottedConnection<M>>) {
    let Some(on_return) = &hooks.on_return else { return };
    if entry.condemned.is_none() && !std::thread::panicking() {
        entry.condemned = match shared.judge(on_return, entry) {
            Ok(Verdict::Keep) => None,
            Ok(Verdict::Close) => Some(CloseReason::Refused),
            Err(_) => Some(CloseReason::Panicked),
        };
    }
}

/// What a returned session needs before its next loan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    /// Work for a worker.
    Worker(Work),
    /// Nothing more: it was reset in this thread.
    WasReset,
}

impl Need {
    #[inline]
    fn of_workers(self) -> Option<Work> {
        match self {
            Self::Worker(work) => Some(work),
            Self::Nothing | Self::WasReset => None,
        }
    }
}

/// Looks at a returned connection. Condemns it if it must be closed; otherwise returns what it needs.
#[inline]
fn inspect<M: Manager>(shared: &Arc<Shared<M>>, entry: &mut Entry<SlottedConnection<M>>) -> Need {
    // No other thread has it any more, so this is not an atomic operation.
    let touched = std::mem::take(entry.touched.get_mut());
    entry.was_touched = touched;
    if entry.condemned.is_some() {
        return Need::Nothing;
    }
    // A hook may have changed a session that its holder did not use.
    let may_have_changed = touched || shared.hooks.of_loans.is_some();
    let policy = shared.config.session_policy;
    let (manager, conn) = (&shared.manager, &mut entry.slotted.conn);
    let seen = contained(|| match policy {
        _ if manager.has_broken(conn) => Err(CloseReason::Broken),
        _ if !may_have_changed => Ok(None),
        SessionPolicy::Never => Ok(None),
        SessionPolicy::Always if M::REMOTE => Ok(Some(SessionState::Unknown)),
        SessionPolicy::Always | SessionPolicy::Tracked => Ok(Some(manager.session(conn))),
    });
    match seen.unwrap_or(Err(CloseReason::Panicked)) {
        Ok(None) => Need::Nothing,
        Ok(Some(SessionState::Clean)) if policy == SessionPolicy::Tracked => Need::Nothing,
        // The engine is in this process, little was left behind, and there is no user code to run: the reset is short, so it is done
        // here and now.
        Ok(Some(SessionState::Clean | SessionState::Slight)) if !M::REMOTE && shared.hooks.on_open.is_none() => {
            reset_here(shared, entry);
            Need::WasReset
        }
        Ok(Some(SessionState::BeyondReset)) => condemn(entry, CloseReason::BeyondReset),
        Ok(Some(SessionState::Broken)) => condemn(entry, CloseReason::Broken),
        Ok(Some(SessionState::InDoubt)) => Need::Worker(Work::Check),
        Ok(Some(_)) => Need::Worker(Work::Reset),
        Err(reason) => condemn(entry, reason),
    }
}

/// The connection must be closed, and therefore needs nothing else.
#[cold]
fn condemn<C>(entry: &mut Entry<C>, reason: CloseReason) -> Need {
    entry.condemned = Some(reason);
    Need::Nothing
}

fn reset_here<M: Manager>(shared: &Arc<Shared<M>>, entry: &mut Entry<SlottedConnection<M>>) {
    let Entry { slotted: SlottedConnection { conn, .. }, slot_id, abort_handle, .. } = entry;
    let span = shared.config.reset_timeout;
    let outcome = shared.call_here(*slot_id, span, abort_handle.as_ref(), |limit| shared.reset(conn, limit));
    if let Err(reason) = shared.reset_ended(entry.id, &outcome) {
        entry.condemned = Some(reason);
        if reason == CloseReason::ResetFailed {
            let why = outcome.cause();
            shared.with(outcome.ended, |state, actions| state.failed_reset(entry, why, outcome.ended, actions));
        }
    }
    let _ = contained(|| drop(outcome));
}
