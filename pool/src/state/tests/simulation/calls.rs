//! The workers' part of the simulation: how driver calls are ordered, begun, aborted and ended, in the transactions that production uses
//! for each.

use super::server::{AT_ONCE, Answer, LineId};
use super::world::{Event, Told, World};
use crate::cause::Cause;
use crate::entry::Entry;
use crate::gate::{Refusal, Stage};
use crate::limit;
use crate::limit::Limit;
use crate::reason::CloseReason;
use crate::slots::{Phase, SlotId};
use crate::state::stalls::last_look;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// A driver call that was ordered and has not returned.
pub(super) struct Call {
    pub(super) slot: SlotId,
    pub(super) work: Work,
    span: Duration,
    began: Option<(Instant, Limit)>,
    answer: Answer,
    /// It was aborted.
    over: bool,
    ordered: Instant,
    /// Its connection is to be closed without a goodbye.
    hastened: bool,
    /// It has a place in the lane.
    in_lane: bool,
}

/// The lane for calls without a waiter.
#[derive(Default)]
pub(super) struct Lane {
    waiting: VecDeque<u64>,
    running: usize,
}

pub(super) enum Work {
    /// Its generation.
    Open(u64),
    Check(Box<Entry<LineId>>),
    Reset(Box<Entry<LineId>>),
    Close(Box<Entry<LineId>>, CloseReason),
}

impl Call {
    fn new(slot: SlotId, work: Work, span: Duration, ordered: Instant) -> Self {
        let (over, hastened, in_lane) = (false, false, false);
        Self { slot, work, span, began: None, answer: Answer::Well, over, ordered, hastened, in_lane }
    }

    /// Whether it is a goodbye, for which no request waits.
    fn is_goodbye(&self) -> bool {
        matches!(self.work, Work::Close(_, reason) if reason.is_orderly())
    }

    /// The time when it began, if it has.
    pub(super) fn since(&self) -> Option<Instant> {
        self.began.as_ref().map(|(at, _)| *at)
    }
}

impl World {
    pub(super) fn order(&mut self, slot: SlotId, span: Duration, work: Work) {
        let number = self.next_number();
        if let Work::Close(entry, reason) = &work {
            self.closes(entry.slotted, *reason);
        }
        self.calls.insert(number, Call::new(slot, work, span, self.now));
        if self.calls[&number].is_goodbye() {
            self.lane.waiting.push_back(number);
            self.go_on();
        } else {
            self.due(self.now, Event::Begin(number));
        }
    }

    /// Begins as many goodbyes as there are places for.
    fn go_on(&mut self) {
        while self.lane.running < LANE {
            let Some(number) = self.lane.waiting.pop_front() else { return };
            self.calls.get_mut(&number).expect("it waits").in_lane = true;
            self.lane.running += 1;
            self.due(self.now, Event::Begin(number));
        }
    }

    /// The slot of a goodbye that may not have begun is needed.
    pub(super) fn hasten(&mut self, slot: SlotId) {
        if let Some(place) = self.lane.waiting.iter().position(|number| self.calls[number].slot == slot) {
            let number = self.lane.waiting.remove(place).expect("it is there");
            self.calls.get_mut(&number).expect("it waits").hastened = true;
            self.due(self.now, Event::Begin(number));
        }
    }

    /// A worker begins the job.
    pub(super) fn begin(&mut self, number: u64) {
        let now = self.now;
        let call = self.calls.get_mut(&number).expect("it was ordered");
        if call.is_goodbye() {
            call.span = call.span.saturating_sub(now - call.ordered);
            call.hastened |= call.span.is_zero();
        }
        let hastened = call.hastened;
        let limit = Limit::of_call(&"simulated".into(), now, call.span);
        limit.on_abort(|| ());
        let (slot, span, weak) = (call.slot, call.span, limit.fuse().downgrade());
        call.began = Some((now, limit));
        match &call.work {
            Work::Check(entry) => self.server.comes_to(entry.slotted, Stage::Check, &mut self.random),
            Work::Reset(entry) => self.server.comes_to(entry.slotted, Stage::Reset, &mut self.random),
            Work::Open(_) | Work::Close(..) => {}
        }
        let ends = match &call.work {
            Work::Open(_) => self.server.connect(now, &mut self.random),
            Work::Close(_, reason) if hastened || !reason.is_orderly() => {
                // The socket is shut down first; then the connection is dropped.
                self.with(|state, _| state.aborted(slot, now));
                Some((now + AT_ONCE, Answer::Well))
            }
            Work::Check(entry) if self.server.checks_fail => {
                let answered = self.server.ask(entry.slotted, now, &mut self.random);
                answered.map(|(at, _)| (at, Answer::Failed))
            }
            Work::Check(entry) | Work::Reset(entry) | Work::Close(entry, _) => {
                self.server.ask(entry.slotted, now, &mut self.random)
            }
        };
        self.with(|state, actions| state.call_began(slot, weak, now, actions));
        if matches!(self.calls[&number].work, Work::Open(_)) {
            let opening = self.openings();
            self.figures.attempt(now, opening);
        }
        if let Some((at, answer)) = ends {
            self.calls.get_mut(&number).expect("it is under way").answer = answer;
            self.due(at, Event::End(number, false));
        }
        self.due(now + span, Event::Overrun(number, now + span));
    }

    /// The state needs the slot of a call that has begun.
    pub(super) fn order_abort(&mut self, slot: SlotId, call: &Weak<limit::Call>) {
        let is_it = |limit: &Limit| Weak::ptr_eq(&limit.fuse().downgrade(), call);
        let found = self.calls.iter().find(|(_, call)| {
            call.slot == slot && !call.over && call.began.as_ref().is_some_and(|(_, limit)| is_it(limit))
        });
        if let Some(number) = found.map(|(&number, _)| number) {
            self.due(self.now, Event::Fire(number));
        }
    }

    /// The call's limit passes: an answer that has arrived comes first.
    pub(super) fn overrun(&mut self, number: u64, due: Instant) {
        self.due(self.now + last_look(self.now - due), Event::Fire(number));
    }

    /// Aborts the call if it has not returned, which releases its slot. It returns soon, as a separate step.
    pub(super) fn fire(&mut self, number: u64) {
        let now = self.now;
        let Some(call) = self.calls.get_mut(&number).filter(|call| !call.over) else { return };
        call.over = true;
        let (slot, span) = (call.slot, call.span);
        self.with(|state, actions| {
            if state.phase(slot) == Phase::Opening {
                state.open_overran(slot, Cause::connect_overran(span), now, actions);
            }
            state.aborted(slot, now);
        });
        self.due(now + AT_ONCE, Event::End(number, true));
    }

    /// The call returns.
    pub(super) fn end(&mut self, number: u64, aborted: bool) {
        let now = self.now;
        let swallowed = |entry: &Entry<LineId>| self.server.line(entry.slotted).swallowed;
        match self.calls.get(&number) {
            Some(call) if call.over == aborted => {
                let lost = match &call.work {
                    Work::Open(_) => false,
                    Work::Check(entry) | Work::Reset(entry) => swallowed(entry),
                    Work::Close(entry, _) => call.is_goodbye() && !call.hastened && swallowed(entry),
                };
                if lost && !aborted {
                    return; // The line has swallowed the answer.
                }
            }
            _ => return,
        }
        let Call { slot, work, answer, over, began, in_lane, .. } =
            self.calls.remove(&number).expect("it is under way");
        if in_lane {
            self.lane.running -= 1;
            self.go_on();
        }
        let (began, limit) = began.expect("it has begun");
        let answer = if over { Answer::Failed } else { answer };
        match (&work, answer) {
            // A check of a new connection shows that the server answers, but nothing about the others.
            (Work::Check(entry), Answer::Well) if entry.is_asked => {}
            (Work::Check(_) | Work::Reset(_), Answer::Well) => self.last_answer = Some(now),
            (Work::Open(_), Answer::Well) => self.last_opened = Some(now),
            _ => {}
        }
        match (work, answer) {
            (Work::Open(generation), Answer::Well) if self.server.is_full() => {
                self.open_failed(slot, generation, Answer::Refused(Refusal::Capacity), over);
            }
            (Work::Open(generation), Answer::Well) => self.opened(slot, generation, now - began),
            (Work::Open(generation), answer) => self.open_failed(slot, generation, answer, over),
            (Work::Check(mut entry), Answer::Well) => {
                self.with(|state, actions| {
                    state.proved(&mut entry, now, actions);
                    state.put_proved(entry, now, actions);
                });
            }
            (Work::Check(entry), Answer::WrongRole) => {
                self.with(|state, actions| state.failed_in_role(&entry, Stage::Check, now, actions));
                self.close_now(entry, CloseReason::WrongRole);
            }
            (Work::Check(entry), _) => {
                self.with(|state, actions| match over {
                    true => state.died(&entry, now),
                    false => state.failed_check(&entry, None, now, actions),
                });
                self.close_now(entry, if over { CloseReason::Overran } else { CloseReason::CheckFailed });
            }
            (Work::Reset(mut entry), Answer::Well) => {
                self.with(|state, _| state.reset_ended(true));
                self.with(|state, actions| {
                    state.passed(&mut entry, Stage::Reset, now, actions);
                    state.put(entry, now, actions);
                });
            }
            (Work::Reset(entry), Answer::WrongRole) => {
                self.with(|state, _| state.reset_ended(false));
                self.with(|state, actions| state.failed_in_role(&entry, Stage::Reset, now, actions));
                self.close_now(entry, CloseReason::WrongRole);
            }
            (Work::Reset(entry), _) => {
                self.with(|state, _| state.reset_ended(false));
                if !over || now - began >= self.config.reset_timeout {
                    self.with(|state, actions| state.failed_reset(&entry, None, now, actions));
                }
                self.close_now(entry, if over { CloseReason::Overran } else { CloseReason::ResetFailed });
            }
            (Work::Close(entry, _), _) => {
                self.server.end(entry.slotted);
                self.with(|state, _| state.release(slot));
            }
        }
        drop(limit);
    }

    fn opened(&mut self, slot: SlotId, generation: u64, took: Duration) {
        let now = self.now;
        let line = self.server.begin(now);
        if self.server.line(line).killed {
            self.server.end(line);
            return self.open_failed(slot, generation, Answer::Failed, false);
        }
        let mut entry = Box::new(Entry::new(slot, line, None, generation, now));
        self.with(|state, actions| state.admit(&mut entry, took, now, actions));
        self.with(|state, actions| state.put_proved(entry, now, actions));
        self.server.is_open(line);
    }

    fn open_failed(&mut self, slot: SlotId, generation: u64, answer: Answer, over: bool) {
        let now = self.now;
        if !over {
            let cause = Cause::Driver(Arc::new(Told));
            self.with(|state, actions| match answer {
                Answer::Refused(Refusal::Permanent) => state.open_refused(generation, cause, now, actions),
                Answer::Refused(refusal) => state.open_failed(refusal, cause, now, actions),
                _ => state.open_failed(Refusal::Unavailable, cause, now, actions),
            });
        }
        self.with(|state, _| state.release(slot));
    }

    /// A connection failed while a worker had it: the same worker closes it.
    fn close_now(&mut self, entry: Box<Entry<LineId>>, reason: CloseReason) {
        let (now, slot) = (self.now, entry.slot_id);
        self.with(|state, _| state.closing(slot, reason, now));
        self.closes(entry.slotted, reason);
        let number = self.next_number();
        let (span, work) = (self.config.close_timeout, Work::Close(entry, reason));
        self.calls.insert(number, Call::new(slot, work, span, self.now));
        self.begin(number);
    }

    /// A session is about to end. Counts it if it was still healthy.
    fn closes(&mut self, line: LineId, reason: CloseReason) {
        let healthy = self.server.line(line).is_healthy() && !self.server.checks_fail;
        if healthy && !reason.is_orderly() {
            self.trace(|| format!("A HEALTHY SESSION IS CLOSED: {reason:?}"));
            self.figures.healthy_closed += 1;
        }
    }

    /// Attempts to connect that have begun and not returned.
    pub(super) fn openings(&self) -> usize {
        let opens = |call: &&Call| matches!(call.work, Work::Open(_)) && call.began.is_some();
        self.calls.values().filter(opens).count()
    }
}

/// How many threads say goodbye at the same time.
const LANE: usize = 4;
