//! What the crew does: open, check, reset and close connections, end calls that overrun, and the upkeep.
//!
//! Every driver call that may block is made here, under a [`Limit`](crate::Limit).

use crate::contain::contained;
use crate::entry::{Entry, Proof};
use crate::error::Cause;
use crate::event::{Called as CalledEvent, ClosedOne, OpenFailed, Opened};
use crate::gate::Refusal;
use crate::limit::Limit;
use crate::manager::{Fault, Line, Manager};
use crate::reason::CloseReason;
use crate::shared::{Called, Job, Slot};
use crate::sync::{self, AtomicBool};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Runs one job. A panic of the user's never comes this far.
pub(crate) fn run<M: Manager>(job: Job<M>) {
    match job {
        Job::Open { slot, limit, generation } => open(slot, limit, generation),
        Job::Check(slot, entry) => check(slot, entry),
        Job::Reset(slot, entry) => reset(slot, entry),
        Job::Close(slot, entry, reason) => close(slot, *entry, reason),
        Job::Cancel { pool, line, limit } => {
            let limit = Limit::new(&pool, sync::now(), limit);
            let _ = contained(|| line.cancel(&limit));
            let _ = contained(|| drop(line));
        }
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
    let Called { answer, over, took, ended } = shared.call(&slot, limit, None, |limit| {
        let mut conn = shared.manager.connect(limit)?;
        let line: Option<Arc<dyn Line>> = shared.manager.line(&conn).map(Arc::from);
        if let Some(line) = &line {
            let line = Arc::clone(line);
            limit.on_cut(move || line.sever());
        }
        shared.set_up(&mut conn)?;
        Ok((conn, line))
    });

    let (refusal, cause) = match answer {
        Ok(Ok((conn, line))) if !over => {
            let mut entry = Box::new(Entry {
                conn,
                id: 0,
                slot: slot.id(),
                line,
                opened_at: ended,
                expires: None,
                last_used: ended,
                lent_at: ended,
                proved: Proof { at: ended, epoch: 0 },
                fresh_until: None,
                asked: 0,
                generation,
                uses: 0,
                touched: AtomicBool::new(false),
                condemned: None,
            });
            let id = slot.give_back().with(ended, |state, todo| {
                state.admit(&mut entry, took, ended, todo);
                let id = entry.id;
                state.put_proved(entry, ended, todo);
                id
            });
            shared.tell(|events| events.opened(&Opened { pool: &shared.config.name, id, took }));
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
        shared.with(ended, |state, todo| state.open_failed(refusal, cause, ended, todo));
    }
    drop(slot);
    shared.tell(|events| {
        let error = error.as_ref() as &(dyn Error + 'static);
        events.open_failed(&OpenFailed { pool: &shared.config.name, error, took });
    });
}

/// Asks the server for a sign of life.
fn check<M: Manager>(slot: Slot<M>, mut entry: Box<Entry<M::Connection>>) {
    let shared = Arc::clone(slot.shared());
    let line = entry.line.clone();
    let called = shared.call(&slot, shared.config.check_timeout, line.as_ref(), |limit| {
        shared.manager.is_valid(&mut entry.conn, limit)
    });
    let ended = called.ended;
    let (id, took) = (entry.id, called.took);
    let verdict = judge(&called, CloseReason::CheckFailed);
    match verdict {
        Ok(()) => {
            slot.give_back().with(ended, |state, todo| {
                state.proved(&mut entry, ended);
                state.put_proved(entry, ended, todo);
            });
        }
        Err(reason) => {
            shared.with(ended, |state, _| state.died(&entry));
            close_now(slot, *entry, reason);
        }
    }
    tell_of_call(&called, |error| {
        shared.tell(|events| events.checked(&CalledEvent { pool: &shared.config.name, id, took, error }));
    });
}

/// Makes the session as good as new.
fn reset<M: Manager>(slot: Slot<M>, mut entry: Box<Entry<M::Connection>>) {
    let shared = Arc::clone(slot.shared());
    let line = entry.line.clone();
    let called = shared.call(&slot, shared.config.reset_timeout, line.as_ref(), |limit| {
        shared.manager.reset(&mut entry.conn, limit)?;
        shared.set_up(&mut entry.conn)
    });
    let ended = called.ended;
    let (id, took) = (entry.id, called.took);
    let verdict = judge(&called, CloseReason::ResetFailed);
    shared.with(ended, |state, _| state.reset_ended(verdict.is_ok()));
    match verdict {
        Ok(()) => {
            slot.give_back().with(ended, |state, todo| state.put(entry, ended, todo));
        }
        Err(reason) => close_now(slot, *entry, reason),
    }
    tell_of_call(&called, |error| {
        shared.tell(|events| events.reset(&CalledEvent { pool: &shared.config.name, id, took, error }));
    });
}

/// Ends a connection that failed while it was with the crew.
fn close_now<M: Manager>(slot: Slot<M>, entry: Entry<M::Connection>, reason: CloseReason) {
    let now = sync::now();
    slot.shared().with(now, |state, _| state.closing(slot.id(), reason, now));
    close(slot, entry, reason);
}

/// Says goodbye to a healthy connection and waits for the server to end the session; the slot stays taken until then.
/// The line of one that is dead, or may be, is cut, and its slot is back at once.
fn close<M: Manager>(slot: Slot<M>, entry: Entry<M::Connection>, reason: CloseReason) {
    let shared = Arc::clone(slot.shared());
    let Entry { conn, line, id, opened_at, uses, .. } = entry;
    let span = shared.config.close_timeout;
    let called = match &line {
        Some(severed) if !reason.is_orderly() => {
            let _ = contained(|| severed.sever());
            if M::REMOTE {
                let now = sync::now();
                shared.with(now, |state, todo| state.severed(slot.id(), now, todo));
            }
            shared.call(&slot, span, None, |_| drop(conn))
        }
        None if !reason.is_orderly() => shared.call(&slot, span, None, |_| drop(conn)),
        line => shared.call(&slot, span, line.as_ref(), |limit| shared.manager.close(conn, limit)),
    };
    let _ = contained(|| drop(line));
    drop(slot);
    let age = called.ended.saturating_duration_since(opened_at);
    shared.tell(|events| events.closed(&ClosedOne { pool: &shared.config.name, id, reason, age, uses }));
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
