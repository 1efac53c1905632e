//! What the crew does: open, check, reset and close connections, end calls that overrun, and the upkeep.
//!
//! Every driver call that may block is made here, under a [`Limit`](crate::Limit).

use crate::contain::contained;
use crate::entry::Entry;
use crate::error::{Cause, Holder};
use crate::event::{Called as CalledEvent, ClosedOne, OpenFailed, Opened};
use crate::gate::Refusal;
use crate::limit::Limit;
use crate::manager::{Fault, Line, Manager};
use crate::reason::CloseReason;
use crate::shared::{Cab, Called, Held, Job, Shared, Slot};
use crate::sync;
use crate::sync::Sender;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Runs one job.
pub(crate) fn run<M: Manager>(job: Job<M>) {
    match job {
        Job::Open { slot, limit, generation } => open(slot, limit, generation),
        Job::Check(held) => check(held),
        Job::Reset(held) => reset(held),
        Job::Close(held, reason) => close(held, reason),
        Job::Cancel { pool, line, limit, holder, cancelled } => cancel(&pool, &*line, limit, holder, &cancelled),
        Job::Fire(fuse) => fuse.fire(|_| ()),
        Job::Expire { pool, slot, fuse, berth } => {
            if let Some(shared) = pool.upgrade() {
                shared.expire(slot, &fuse, berth);
            }
        }
        Job::Tick(pool, alarm) => {
            if let Some(shared) = pool.upgrade() {
                let (now, wall) = (sync::now(), sync::wall());
                shared.with(now, |state, todo| state.tick(alarm, now, wall, todo));
            }
        }
    }
}

/// Opens a connection for whoever is first in line when it is ready, not for whoever asked.
fn open<M: Manager>(slot: Slot<M>, limit: Duration, generation: u64) {
    let shared = Arc::clone(slot.shared());
    let Called { answer, over, took, ended } = shared.call(slot.id(), limit, None, |limit| {
        let mut conn = shared.manager.connect(limit)?;
        let line: Option<Arc<dyn Line>> = shared.manager.line(&conn).map(Arc::from);
        if let Some(line) = &line {
            let line = Arc::clone(line);
            limit.on_cut(move || line.sever());
        }
        // The connection goes first, and by itself: two panics at a time would end the process.
        match contained(|| shared.set_up(&mut conn)) {
            Ok(Ok(())) => Ok((conn, line)),
            failed => {
                let _ = contained(|| drop(conn));
                match failed {
                    Ok(failed) => Err(failed.expect_err("it failed")),
                    Err(panic) => std::panic::panic_any(panic),
                }
            }
        }
    });

    let (refusal, cause) = match answer {
        Ok(Ok((conn, line))) if !over => {
            let mut held = Held::new(slot, conn, line, generation, ended);
            shared.with(ended, |state, todo| state.admit(&mut held, took, ended, todo));
            // Told before anybody can have it, so that a handler hears of a connection before it hears of its loans.
            shared.tell(|events| events.opened(&Opened { pool: &shared.config.name, id: held.id, took }));
            let (shared, entry) = held.give_back();
            shared.with(ended, |state, todo| state.put_proved(entry, ended, todo));
            return;
        }
        Ok(Ok(late)) => {
            let _ = contained(|| drop(late));
            (Refusal::Unavailable, Cause::seen(format!("connecting took longer than {limit:?}")))
        }
        Ok(Err(error)) => {
            let refusal = match contained(|| shared.manager.fault(&error)) {
                Ok(Fault::Permanent) => Refusal::Permanent,
                Ok(Fault::Capacity) => Refusal::Capacity,
                _ => Refusal::Unavailable,
            };
            (refusal, Cause::Driver(Arc::new(error)))
        }
        Err(panic) => (Refusal::Unavailable, Cause::seen(format!("the manager panicked while connecting: {panic}"))),
    };
    let error = cause.to_error();
    if !over {
        shared.with(ended, |state, todo| match refusal {
            Refusal::Permanent => state.open_refused(generation, cause, ended, todo),
            _ => state.open_failed(refusal, cause, ended, todo),
        });
    }
    drop(slot);
    shared.tell(|events| {
        let error = error.as_ref() as &(dyn Error + 'static);
        events.open_failed(&OpenFailed { pool: &shared.config.name, error, took });
    });
}

/// Asks the server for a sign of life.
fn check<M: Manager>(mut held: Held<M>) {
    let shared = Arc::clone(held.cab.slot.shared());
    let line = held.line.clone();
    let called = shared.call(held.slot, shared.config.check_timeout, line.as_ref(), |limit| {
        shared.manager.is_valid(&mut held.cab.conn, limit)
    });
    let ended = called.ended;
    let (id, took) = (held.id, called.took);
    let verdict = judge(&called, CloseReason::CheckFailed);
    tell_of_call(&called, |error| {
        shared.tell(|events| events.checked(&CalledEvent { pool: &shared.config.name, id, took, error }));
    });
    match verdict {
        Ok(()) => {
            let (shared, mut entry) = held.give_back();
            shared.with(ended, |state, todo| {
                state.proved(&mut entry, ended);
                state.put_proved(entry, ended, todo);
            });
        }
        Err(reason) => {
            shared.with(ended, |state, _| state.died(&held));
            close_now(held, reason);
        }
    }
}

/// Makes the session as good as new.
fn reset<M: Manager>(mut held: Held<M>) {
    let shared = Arc::clone(held.cab.slot.shared());
    let line = held.line.clone();
    let called = shared.call(held.slot, shared.config.reset_timeout, line.as_ref(), |limit| {
        shared.manager.reset(&mut held.cab.conn, limit)?;
        shared.set_up(&mut held.cab.conn)
    });
    let ended = called.ended;
    let (id, took) = (held.id, called.took);
    let verdict = judge(&called, CloseReason::ResetFailed);
    shared.with(ended, |state, _| state.reset_ended(verdict.is_ok()));
    tell_of_call(&called, |error| {
        shared.tell(|events| events.reset(&CalledEvent { pool: &shared.config.name, id, took, error }));
    });
    match verdict {
        Ok(()) => {
            let (shared, entry) = held.give_back();
            shared.with(ended, |state, todo| state.put(entry, ended, todo));
        }
        Err(reason) => close_now(held, reason),
    }
}

/// Ends a connection that failed while it was with the crew.
fn close_now<M: Manager>(held: Held<M>, reason: CloseReason) {
    let now = sync::now();
    held.cab.slot.shared().with(now, |state, _| state.closing(held.slot, reason, now));
    close(held, reason);
}

/// Says goodbye to a healthy connection and waits for the server to end the session; the slot stays taken until then.
/// The line of one that is dead, or may be, is cut, and its slot is back at once.
fn close<M: Manager>(held: Held<M>, reason: CloseReason) {
    let Entry { cab: Cab { slot, conn }, line, id, opened_at, uses, .. } = held.into_entry();
    let shared = Arc::clone(slot.shared());
    let span = shared.config.close_timeout;
    let called = match &line {
        Some(severed) if !reason.is_orderly() => {
            let _ = contained(|| severed.sever());
            if M::REMOTE {
                let now = sync::now();
                shared.with(now, |state, todo| state.severed(slot.id(), now, todo));
            }
            shared.call(slot.id(), span, None, |_| drop(conn))
        }
        None if !reason.is_orderly() => shared.call(slot.id(), span, None, |_| drop(conn)),
        line => shared.call(slot.id(), span, line.as_ref(), |limit| shared.manager.close(conn, limit)),
    };
    let _ = contained(|| drop(line));
    drop(slot);
    let age = called.ended.saturating_duration_since(opened_at);
    shared.tell(|events| events.closed(&ClosedOne { pool: &shared.config.name, id, reason, age, uses }));
}

/// Asks the server to give up what runs on a line.
fn cancel<M: Manager>(
    shared: &Arc<Shared<M>>,
    line: &dyn Line,
    span: Duration,
    holder: Holder,
    cancelled: &Sender<Holder>,
) {
    let limit = Limit::new(&shared.name, sync::now(), span);
    let alarm = limit.deadline().map(|at| shared.crew.at(at, Job::Fire(limit.fuse())));
    if let Ok(true) = contained(|| line.cancel(&limit)) {
        // If nobody listens any more, the closing is over.
        let _ = cancelled.send(holder);
    }
    if let Some(alarm) = alarm {
        shared.crew.strike(alarm);
    }
    limit.disarm();
}

/// What a call's end means for the connection: go on, or close it for this reason.
fn judge<E>(called: &Called<Result<(), E>>, failed: CloseReason) -> Result<(), CloseReason> {
    match &called.answer {
        _ if called.over => Err(CloseReason::Overran),
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(failed),
        Err(_) => Err(CloseReason::Panicked),
    }
}

/// Hands the error of a call, whatever its kind, to `tell`.
fn tell_of_call<E: Error + Send + Sync + 'static>(
    called: &Called<Result<(), E>>,
    tell: impl FnOnce(Option<&(dyn Error + 'static)>),
) {
    let seen = |text: &str| Cause::<E>::seen(text).to_error();
    match &called.answer {
        Ok(Err(error)) => tell(Some(error)),
        Ok(Ok(())) if called.over => tell(Some(seen("took too long").as_ref())),
        Err(panic) => tell(Some(seen(&format!("panicked: {panic}")).as_ref())),
        Ok(Ok(())) => tell(None),
    }
}
