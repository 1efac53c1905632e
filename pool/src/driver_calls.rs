//! The workers' jobs: opening, checking, resetting and closing connections, and cancelling what runs on them.
//!
//! Every driver call that may block is made here, under a [`Limit`](crate::Limit). Short resets of an engine in this process are made in
//! `checkin.rs`.

use crate::cause::Cause;
use crate::contain::contained;
use crate::entry::Entry;
use crate::event::{CallEnded, CheckedIn, ConnectionClosed, Opened, Remarked};
use crate::gate::{Refusal, Stage};
use crate::limit::Limit;
use crate::manager::{AbortHandle, Fault, Manager};
use crate::reason::CloseReason;
use crate::shared::{CallOutcome, Held, Job, SetUp, Shared, Slot, SlottedConnection, abort_by, can_abort};
use crate::{seeded, sync};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) fn run<M: Manager>(job: Job<M>) {
    match job {
        Job::Open { slot, limit, generation } => open(slot, limit, generation),
        Job::Check(held) => check(held),
        Job::Reset(held) => reset(held),
        Job::Close { held, reason, since, hastened } => close(held, reason, since, hastened),
        Job::Cancel { pool, limit, ask } => cancel(&pool, limit, ask),
        Job::Tell(pool, news) => pool.tell(news),
    }
}

/// Opens a connection. When it is ready it goes to the head of the queue, not to the request that caused it.
fn open<M: Manager>(slot: Slot<M>, limit: Duration, generation: u64) {
    let shared = Arc::clone(slot.shared());
    if shared.with(sync::now(), |state, _| state.is_closed()) {
        return; // It was closed before this job had a thread: begin no session.
    }
    let CallOutcome { answer, over, took, ended } = shared.call(slot.id(), limit, None, |limit| {
        let mut conn = shared.manager.connect(limit).map_err(Failure::to_connect)?;
        let abort_handle: Option<Arc<dyn AbortHandle>> = shared.manager.abort_handle(&conn).map(Arc::from);
        if let Some(abort_handle) = &abort_handle {
            abort_by(abort_handle, limit);
        }
        let set_up = contained(|| shared.set_up(&mut conn, &SetUp { limit, is_first: true }));
        let Err(cause) = set_up.unwrap_or_else(|panic| Err(Cause::panicked(MANAGER_PANICKED, &panic))) else {
            return Ok((conn, abort_handle));
        };
        let is_sound = matches!(contained(|| shared.manager.has_broken(&mut conn)), Ok(false));
        // Dropped on its own, because its destructor may panic.
        let _ = contained(|| drop(conn));
        Err(Failure { cause, is_sound })
    });

    let mut is_of_wrong_role = false;
    let (refusal, cause) = match answer {
        Ok(Ok((mut conn, abort_handle))) if !over => match contained(|| shared.manager.has_broken(&mut conn)) {
            Ok(false) => {
                let looks = seeded::bug("looks_for_an_eviction_before_it_admits");
                let generation = if looks { as_seen(&shared, generation) } else { generation };
                let mut held = Held::new(slot, conn, abort_handle, generation, ended);
                shared.with(ended, |state, actions| state.admit(&mut held, took, ended, actions));
                // Emitted before a borrower can have it: `opened` comes before the first `checked_out`.
                shared.emit(|events| events.opened(&Opened { pool: &shared.config.name, id: held.id, took }));
                let remark = remark_on(&mut held);
                let (shared, entry) = held.into_entry();
                shared.with(ended, |state, actions| {
                    state.remarked(entry.slot_id, remark, ended);
                    state.put_proved(entry, ended, actions);
                });
                return;
            }
            broken => {
                let _ = contained(|| drop(conn));
                let cause = match broken {
                    Err(panic) => Cause::panicked(MANAGER_PANICKED, &panic),
                    Ok(_) => Cause::other("the server closed the connection as soon as it was open"),
                };
                (Refusal::Unavailable, cause)
            }
        },
        Ok(Ok(late)) => {
            let _ = contained(|| drop(late));
            (Refusal::Unavailable, Cause::connect_overran(limit))
        }
        Ok(Err(failure)) => {
            let fault = fault(&shared, &failure.cause);
            is_of_wrong_role = fault == Fault::WrongRole;
            (refusal(fault, failure.is_sound), failure.cause)
        }
        Err(panic) => (Refusal::Unavailable, Cause::panicked(MANAGER_PANICKED, &panic)),
    };
    if over {
        return; // It was counted, and `open_failed` emitted, when it was given up.
    }
    let error = cause.to_error();
    let looks = seeded::bug("looks_for_an_eviction_before_it_refuses");
    let generation = if looks { as_seen(&shared, generation) } else { generation };
    shared.with(ended, |state, actions| {
        match refusal {
            Refusal::Permanent => state.open_refused(generation, cause, ended, actions),
            _ => state.open_failed(refusal, cause, ended, actions),
        }
        if is_of_wrong_role {
            state.role_was_wrong();
        }
    });
    drop(slot);
    shared.tell_open_failed(error.as_ref(), took);
}

/// Why an attempt to connect failed.
struct Failure<E> {
    cause: Cause<E>,
    /// A connection was made, and it works: only the set-up of its session failed.
    is_sound: bool,
}

impl<E> Failure<E> {
    fn to_connect(error: E) -> Self {
        Self { cause: Cause::Driver(Arc::new(error)), is_sound: false }
    }
}

/// What the cause of a failed attempt means. A panic may be chance.
fn fault<M: Manager>(shared: &Shared<M>, cause: &Cause<M::Error>) -> Fault {
    match cause {
        Cause::Driver(error) => shared.fault(error).unwrap_or(Fault::Unavailable),
        Cause::InTransaction => Fault::Permanent,
        _ => Fault::Unavailable,
    }
}

/// What a failed attempt implies for the next. A statement that fails in a sound session fails in the next one, too.
fn refusal(fault: Fault, is_sound: bool) -> Refusal {
    match fault {
        Fault::Permanent => Refusal::Permanent,
        Fault::Statement if is_sound => Refusal::Permanent,
        Fault::Capacity => Refusal::Capacity,
        _ => Refusal::Unavailable,
    }
}

/// Two seeded bugs look for an eviction in a transaction of their own. If there was none, they use the generation that is current when
/// they act.
fn as_seen<M: Manager>(shared: &Arc<Shared<M>>, generation: u64) -> u64 {
    let current = || shared.with(sync::now(), |state, _| state.generation());
    if current() == generation { current() } else { generation }
}

/// Checks whether the server still answers on this connection.
fn check<M: Manager>(mut held: Held<M>) {
    let shared = Arc::clone(held.slotted.slot.shared());
    let abort_handle = held.abort_handle.clone();
    let outcome = shared.call(held.slot_id, shared.config.check_timeout, abort_handle.as_ref(), |limit| {
        shared.manager.is_valid(&mut held.slotted.conn, limit).map_err(|error| Cause::Driver(Arc::new(error)))
    });
    let ended = outcome.ended;
    let (id, took) = (held.id, outcome.took);
    let failed = if held.in_doubt.is_some() { CloseReason::Broken } else { CloseReason::CheckFailed };
    let verdict = shared.verdict(&outcome, failed).map(drop);
    let cause = outcome.cause();
    let error = cause.as_ref().map(Cause::as_error);
    shared.emit(|events| events.checked(&CallEnded { pool: &shared.config.name, id, took, error }));
    match verdict {
        Ok(()) => {
            let remark = remark_on(&mut held);
            let (shared, mut entry) = held.into_entry();
            shared.with(ended, |state, actions| {
                state.remarked(entry.slot_id, remark, ended);
                state.proved(&mut entry, ended, actions);
                state.put_proved(entry, ended, actions);
            });
        }
        Err(reason) => {
            shared.with(ended, |state, actions| match reason {
                CloseReason::Overran => state.died(&held, ended),
                CloseReason::WrongRole => state.failed_in_role(&held, Stage::Check, ended, actions),
                _ => state.failed_check(&held, cause, ended, actions),
            });
            close_now(held, reason);
        }
    }
}

/// The manager's remark on the connection's server. If it had none on this connection before, that is an event.
fn remark_on<M: Manager>(held: &mut Held<M>) -> Option<Arc<str>> {
    let shared = Arc::clone(held.slotted.slot.shared());
    let remark = contained(|| shared.manager.remark(&held.slotted.conn)).ok().flatten();
    let was_remarked = std::mem::replace(&mut held.remarked, remark.is_some());
    if let Some(remark) = remark.as_deref().filter(|_| !was_remarked) {
        shared.emit(|events| events.remarked(&Remarked { pool: &shared.config.name, id: held.id, remark }));
    }
    remark.map(Arc::from)
}

/// Makes the session as good as new.
fn reset<M: Manager>(mut held: Held<M>) {
    let shared = Arc::clone(held.slotted.slot.shared());
    let abort_handle = held.abort_handle.clone();
    let outcome = shared.call(held.slot_id, shared.config.reset_timeout, abort_handle.as_ref(), |limit| {
        shared.reset(&mut held.slotted.conn, limit)
    });
    let ended = outcome.ended;
    match shared.reset_ended(held.id, &outcome) {
        answered @ (Ok(()) | Err(CloseReason::BeyondReset)) => {
            let (shared, mut entry) = held.into_entry();
            entry.condemned = answered.err();
            shared.with(ended, |state, actions| {
                state.passed(&mut entry, Stage::Reset, ended, actions);
                state.put(entry, ended, actions);
            });
        }
        Err(reason) => {
            let why = outcome.cause();
            shared.with(ended, |state, actions| match reason {
                CloseReason::WrongRole => state.failed_in_role(&held, Stage::Reset, ended, actions),
                // A reset that was aborted before its time had to make room.
                CloseReason::Overran if outcome.took < shared.config.reset_timeout => {}
                _ => state.failed_reset(&held, why, ended, actions),
            });
            close_now(held, reason);
        }
    }
}

/// Ends a connection that failed while a worker had it.
fn close_now<M: Manager>(held: Held<M>, reason: CloseReason) {
    let now = sync::now();
    held.slotted.slot.shared().with(now, |state, _| state.closing(held.slot_id, reason, now));
    close(held, reason, now, false);
}

/// Says goodbye on a healthy connection and waits for the server to end the session; the slot stays taken until then. A connection that
/// is dead, or may be, is aborted, and its slot is free at once; so is one whose slot is needed, or that waited for a thread until its
/// time was over. Either way `closed` is emitted before the slot is free.
fn close<M: Manager>(held: Held<M>, reason: CloseReason, since: Instant, hastened: bool) {
    let Entry { slotted: SlottedConnection { slot, conn, .. }, abort_handle, id, opened_at, uses, untold, .. } =
        held.unbox();
    let shared = Arc::clone(slot.shared());
    let (pool, span) = (&*shared.config.name, shared.config.close_timeout);
    if let Some(used) = untold {
        shared.emit(|events| events.checked_in(&CheckedIn { pool, id, used }));
    }
    let tell = |ended: Instant| {
        let age = ended.saturating_duration_since(opened_at);
        shared.emit(|events| events.closed(&ConnectionClosed { pool, id, reason, age, uses }));
    };
    let left = span.saturating_sub(sync::now().saturating_duration_since(since));
    if reason.is_orderly() && !hastened && !left.is_zero() {
        tell(shared.call(slot.id(), left, abort_handle.as_ref(), |limit| shared.manager.close(conn, limit)).ended);
    } else {
        let aborted = abort_handle.as_ref().filter(|abort_handle| can_abort(&***abort_handle));
        match aborted {
            Some(aborted) => drop(contained(|| aborted.abort())),
            // Nothing can abort this call: if it hangs, no other goodbye may wait until its limit has passed.
            None => shared.workers.leave_background(slot.id()),
        }
        let is_free = M::REMOTE && aborted.is_some();
        if is_free {
            let now = sync::now();
            tell(now);
            shared.with(now, |state, _| state.aborted(slot.id(), now));
        }
        let outcome = shared.call(slot.id(), span, None, |limit| {
            // A statement that a panicking holder left running would run on at the server, which does not notice that its client is
            // gone.
            if let (CloseReason::Panicked, Some(abort_handle)) = (reason, &abort_handle) {
                let _ = contained(|| abort_handle.cancel(limit));
            }
            drop(conn);
        });
        if !is_free {
            tell(outcome.ended);
        }
    }
    let _ = contained(|| drop(abort_handle));
    drop(slot);
}

/// Asks the server to cancel the statement that runs on a lent connection.
fn cancel<M: Manager>(shared: &Arc<Shared<M>>, span: Duration, ask: impl FnOnce(&Limit)) {
    let limit = Limit::of_call(&shared.name, sync::now(), span);
    let fuse = limit.fuse();
    let alarm = limit.deadline().map(|at| shared.workers.at(at, move || fuse.fire(|_| ())));
    let _ = contained(|| ask(&limit));
    if let Some(alarm) = alarm {
        shared.workers.cancel_alarm(alarm);
    }
    limit.disarm();
}

const MANAGER_PANICKED: &str = "the manager panicked while connecting";
