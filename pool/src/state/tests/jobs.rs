//! The workers' part of the world: driver calls that begin when the state orders them, and end as an operation specifies.

use super::book::{Facts, Trouble};
use super::ops::End;
use super::world::{Broken, World};
use crate::cause::Cause;
use crate::entry::Entry;
use crate::gate::{Refusal, Stage};
use crate::limit::Limit;
use crate::reason::CloseReason;
use crate::slots::{Phase, SlotId};
use crate::state::State;
use crate::state::actions::{Actions, Opening};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A driver call under way.
pub(super) struct Job {
    pub(super) slot: SlotId,
    pub(super) work: Work,
    pub(super) number: u64,
    pub(super) began: Instant,
    /// When its limit passes.
    pub(super) over_at: Instant,
    pub(super) fate: Option<Fate>,
    limit: Limit,
}

pub(super) enum Work {
    Open { generation: u64, evictions: u64 },
    Check(Box<Entry<()>>),
    Reset(Box<Entry<()>>),
    Close(Box<Entry<()>>),
}

/// The fate of a call that overran.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    Aborted,
    Abandoned,
    Stuck,
}

impl World {
    pub(super) fn begin_open(&mut self, opening: Opening) {
        self.check_opening();
        let work = Work::Open { generation: opening.generation, evictions: self.book.evictions };
        self.begin(opening.slot, work, opening.limit);
    }

    pub(super) fn begin_check(&mut self, entry: Box<Entry<()>>) {
        self.begin(entry.slot_id, Work::Check(entry), self.config.check_timeout);
    }

    pub(super) fn begin_reset(&mut self, entry: Box<Entry<()>>) {
        self.begin(entry.slot_id, Work::Reset(entry), self.config.reset_timeout);
    }

    pub(super) fn begin_close(&mut self, entry: Box<Entry<()>>, reason: CloseReason) {
        self.check_reason(&entry, reason);
        let (slot, abort) = (entry.slot_id, !reason.is_orderly());
        self.begin(slot, Work::Close(entry), self.config.close_timeout);
        // Without an abort handle nothing can be aborted.
        if abort && self.attempts % 4 != 0 {
            self.abort(slot);
        }
    }

    fn begin(&mut self, slot: SlotId, work: Work, span: Duration) {
        self.attempts += 1;
        let aborted = self.state.slots.get(slot).phase == Phase::Aborted;
        let limit = Limit::of_call(&"test".into(), self.now, Duration::MAX);
        if self.attempts % 4 != 0 {
            limit.on_abort(|| ());
        }
        let fuse = limit.fuse();
        self.jobs.push(Job {
            slot,
            work,
            number: self.attempts,
            began: self.now,
            over_at: self.now + span,
            fate: aborted.then_some(Fate::Aborted),
            limit,
        });
        let now = self.now;
        self.with(|state, actions| state.call_began(slot, fuse.downgrade(), now, actions));
    }

    /// Gives up the call in `slot`. Every fourth call has no abort handle, and some openings look up a name.
    pub(super) fn abort(&mut self, slot: SlotId) {
        let Some(job) = self.jobs.iter_mut().find(|job| job.slot == slot && job.fate.is_none()) else { return };
        let opens = matches!(job.work, Work::Open { .. });
        let fate = match job.number % 4 {
            0 => Fate::Stuck,
            1 if opens => Fate::Abandoned,
            _ => Fate::Aborted,
        };
        job.fate = Some(fate);
        let now = self.now;
        if opens {
            let cause = Cause::other("overran");
            self.note_failure(Refusal::Unavailable, |state, actions| state.open_overran(slot, cause, now, actions));
        }
        self.with(|state, _| match fate {
            Fate::Aborted => state.aborted(slot, now),
            Fate::Abandoned => state.abandoned(slot, now),
            Fate::Stuck => state.stuck(slot),
        });
    }

    /// Ends the call. A call that was given up has failed, whatever it returns.
    pub(super) fn end_job(&mut self, place: usize, end: End) {
        let Job { slot, work, fate, limit, .. } = self.jobs.remove(place);
        let end = if fate.is_some() { End::Failed(Refusal::Unavailable) } else { end };
        let now = self.now;
        match (work, end) {
            (Work::Open { generation, evictions }, End::Well) => self.opened(slot, generation, evictions),
            (Work::Open { .. }, failed) => {
                // A server in the wrong role is retried like an unreachable one.
                let refusal = if let End::Failed(refusal) = failed { refusal } else { Refusal::Unavailable };
                if fate.is_none() {
                    self.open_failed(refusal, Cause::Driver(Arc::new(Broken)));
                }
                self.with(|state, _| state.release(slot));
                self.check();
            }
            (Work::Check(mut entry), End::Well) => {
                let answered_at = self.book.answered_at;
                self.book.proved(entry.id, now);
                if entry.is_asked {
                    // It shows nothing about the others.
                    self.book.answered_at = answered_at;
                }
                self.with_noted(
                    |state, actions| {
                        state.proved(&mut entry, now, actions);
                        state.put_proved(entry, now, actions);
                    },
                    |world, ()| world.note_lifted(),
                );
                self.check();
            }
            (Work::Check(entry), End::WrongRole) => self.fail_in_role(entry, Stage::Check),
            (Work::Check(entry), End::Failed(_)) => {
                self.book.died(entry.id);
                let given_up = fate.is_some();
                self.with_noted(
                    |state, actions| match given_up {
                        true => state.died(&entry, now),
                        false => state.failed_check(&entry, None, now, actions),
                    },
                    |world, ()| world.note_stillborn(),
                );
                self.close_now(slot, entry, CloseReason::CheckFailed);
            }
            (Work::Reset(mut entry), End::Well) => {
                self.book.answered_at = Some(now);
                self.with(|state, _| state.reset_ended(true));
                self.with_noted(
                    |state, actions| {
                        state.passed(&mut entry, Stage::Reset, now, actions);
                        state.put(entry, now, actions);
                    },
                    |world, ()| world.note_lifted(),
                );
                self.check();
            }
            (Work::Reset(entry), End::WrongRole) => {
                self.with(|state, _| state.reset_ended(false));
                self.fail_in_role(entry, Stage::Reset);
            }
            (Work::Reset(entry), End::Failed(_)) => {
                self.with(|state, _| state.reset_ended(false));
                self.with_noted(
                    |state, actions| state.failed_reset(&entry, None, now, actions),
                    |world, ()| world.note_stillborn(),
                );
                self.close_now(slot, entry, CloseReason::ResetFailed);
            }
            (Work::Close(entry), _) => {
                self.book.alive.remove(&entry.id);
                self.with(|state, _| state.release(slot));
                self.check();
            }
        }
        drop(limit);
    }

    /// A worker found the server in the wrong role: the other sessions are as doubtful as after a death.
    fn fail_in_role(&mut self, entry: Box<Entry<()>>, stage: Stage) {
        let (now, slot) = (self.now, entry.slot_id);
        self.book.died(entry.id);
        self.with_noted(
            |state, actions| state.failed_in_role(&entry, stage, now, actions),
            |world, ()| world.note_stillborn(),
        );
        self.close_now(slot, entry, CloseReason::WrongRole);
    }

    fn open_failed(&mut self, refusal: Refusal, cause: Cause<Broken>) {
        let now = self.now;
        self.note_failure(refusal, |state, actions| state.open_failed(refusal, cause, now, actions));
    }

    fn note_failure(&mut self, refusal: Refusal, fail: impl FnOnce(&mut State<(), Broken>, &mut Actions<(), Broken>)) {
        let now = self.now;
        let fail = |state: &mut State<(), Broken>, actions: &mut Actions<(), Broken>| {
            fail(state, actions);
            state.gate.retry_at().expect("there is trouble")
        };
        self.with_noted(fail, |world, &retry_at| {
            world.book.failed(refusal, now, retry_at, world.attempts + 1);
        });
    }

    /// A connection may have died young. From the second in a row on that is an outage, which the state's gate shows.
    pub(super) fn note_stillborn(&mut self) {
        if let Some(retry_at) = self.state.gate.retry_at() {
            self.book.stillborn(retry_at, self.now, self.attempts + 1);
        }
    }

    /// A connection proved good: that may end an outage of connections that die young, but no other.
    pub(super) fn note_lifted(&mut self) {
        if !self.state.gate.has_trouble() && self.book.trouble.is_some_and(|trouble| trouble.of_stillborn) {
            self.book.trouble = None;
        }
    }

    fn opened(&mut self, slot: SlotId, generation: u64, evictions: u64) {
        let (now, took) = (self.now, Duration::from_millis(1));
        let mut entry = Box::new(Entry::new(slot, (), None, generation, now));
        let admit = |state: &mut State<(), Broken>, actions: &mut Actions<(), Broken>| {
            state.admit(&mut entry, took, now, actions);
            let admitted = (entry.id, entry.expires);
            state.put_proved(entry, now, actions);
            admitted
        };
        let (_, expires) = self.with_noted(admit, |world, &(id, expires)| {
            let doubts = world.book.doubts;
            let facts = Facts {
                evictions,
                expires,
                proved_at: now,
                proved_after: doubts,
                last_used: now,
                condemned: false,
                dead: false,
                lent_at: now,
                leak_reported: false,
            };
            assert!(world.book.alive.insert(id, facts).is_none(), "two connections of one number");
            world.book.opened_at = Some(now);
            world.book.opened += 1;
            let trouble = world.book.trouble.take();
            if let Some(retry_at) = world.state.gate.retry_at() {
                assert!(world.state.gate.doubts_the_new(), "a success ends an outage");
                let (kind, of_stillborn) = (Refusal::Unavailable, true);
                world.book.trouble = trouble.map(|trouble| Trouble { retry_at, kind, of_stillborn, ..trouble });
            }
        });
        self.check_lifetime(expires);
        self.check();
    }

    /// A connection failed while a worker had it.
    fn close_now(&mut self, slot: SlotId, entry: Box<Entry<()>>, reason: CloseReason) {
        let now = self.now;
        self.book.facts(entry.id).condemned = true;
        self.with(|state, _| state.closing(slot, reason, now));
        self.begin_close(entry, reason);
        self.check();
    }
}
