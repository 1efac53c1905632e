//! The borrowers of the simulation: the way out as in `checkout/mod.rs`, the loan, and the way back as in `checkin.rs`. `tasks.rs` has
//! what only tasks do.

use super::scenario::Group;
use super::server::LineId;
use super::world::{Event, World};
use crate::entry::Entry;
use crate::gate::Stage;
use crate::queue::Ticket;
use crate::reason::CloseReason;
use crate::slots::Borrower;
use crate::state::actions::{Claim, Delivery, Work};
use crate::state::tests::waiting::mark;
use crate::state::young::stage_of_loan;
use crate::waiter::{Waiter, Wake};
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A thread or task that borrows repeatedly.
pub(super) struct Caller {
    pub(super) group: Group,
    wake: Wake,
    /// The start of the current get.
    since: Instant,
    /// The end of its wait, in place of its deadline, which passed while the process was frozen.
    grace_ends: Option<Instant>,
    pub(super) ticket: Option<Ticket>,
    /// The number of the current wait.
    pub(super) wait: u64,
    /// Woken, but not looking yet.
    pub(super) woken: bool,
    rounds: usize,
    /// The number of gets that have ended.
    ended: usize,
    pub(super) loan: Option<Box<Entry<LineId>>>,
}

impl World {
    /// Starts the groups.
    pub(super) fn bring(&mut self, groups: &[Group]) {
        for group in groups {
            for place in 0..group.count {
                let wake = match group.tasks {
                    Some(_) => Wake::Task(Arc::default()),
                    None => Wake::Thread(Waiter::new()),
                };
                let caller = self.callers.len();
                self.parked.insert(mark(&wake), caller);
                let (since, rounds) = (self.start, group.rounds);
                let group = group.clone();
                let begins = self.start + group.begins + group.apart * place as u32;
                self.callers.push(Caller {
                    group,
                    wake,
                    since,
                    grace_ends: None,
                    ticket: None,
                    wait: 0,
                    woken: false,
                    rounds,
                    ended: 0,
                    loan: None,
                });
                self.due(begins, Event::Get(caller));
            }
        }
    }

    pub(super) fn get(&mut self, caller: usize) {
        let it = &mut self.callers[caller];
        let over = self.now >= self.start + it.group.ends;
        if over || it.rounds == 0 {
            return;
        }
        it.rounds -= 1;
        (it.since, it.grace_ends) = (self.now, None);
        match self.take_parked(caller) {
            Some(entry) => self.obtained(caller, entry),
            None => self.take(caller, true),
        }
    }

    /// Takes a fresh idle connection, or queues: for the `first` time, or in its old place.
    fn take(&mut self, caller: usize, first: bool) {
        let (now, it) = (self.now, &self.callers[caller]);
        let (since, deadline, wake, tasks) = (it.since, it.deadline(), it.wake.clone(), it.group.tasks);
        let (mut ticket, timeout) = (None, deadline.saturating_duration_since(since));
        let claim = self.with(|state, actions| {
            let mut claim = state.claim(now, borrower(caller), actions);
            if let Claim::Connection(entry) = &mut claim {
                // Each caller keeps its seat, so some callers share a cell permanently.
                let _ = state.permit(entry, now, borrower(caller), (caller, caller));
            }
            if let Claim::Nothing = claim {
                ticket = match first {
                    true => state.queue(wake, borrower(caller), since, timeout),
                    false => Some(state.queue_again(wake, borrower(caller), since, timeout)),
                };
                if let (Some(ticket), Some(_)) = (&ticket, tasks) {
                    state.ring_at(ticket, deadline, now, actions);
                }
            }
            claim
        });
        match claim {
            Claim::Connection(entry) => self.obtained(caller, entry),
            Claim::Refused(_) => self.told(caller),
            Claim::Closed => unreachable!("nobody closes the pool"),
            Claim::Nothing => {
                let wait = self.next_number();
                let it = &mut self.callers[caller];
                (it.ticket, it.wait) = (ticket, wait);
                if std::mem::take(&mut it.woken) {
                    self.woken(caller); // It was woken before it could park.
                }
                match tasks {
                    Some(tasks) => self.may_be_dropped(caller, wait, tasks),
                    None => self.due(deadline, Event::Deadline(caller, wait)),
                }
            }
        }
    }

    pub(super) fn woken(&mut self, caller: usize) {
        let it = &mut self.callers[caller];
        if !std::mem::replace(&mut it.woken, true) && it.ticket.is_some() {
            let (wait, tasks) = (it.wait, it.group.tasks);
            let late = tasks.map_or(Duration::ZERO, |tasks| tasks.lateness(&mut self.random));
            self.due(self.now + late, Event::Look(caller, wait));
        }
    }

    /// A waiter was woken, or its deadline has passed.
    pub(super) fn look(&mut self, caller: usize, wait: u64, woken: bool) {
        let now = self.now;
        let it = &mut self.callers[caller];
        if it.wait != wait {
            return;
        }
        let Some(ticket) = it.ticket.take() else { return };
        it.woken &= !woken;
        let (waited, deadline) = (now - it.since, it.deadline());
        let (mut over, mut grace_ends, is_task) = (deadline <= now, it.grace_ends, it.group.tasks.is_some());
        let beside_idle = over && self.has_good_idle();
        let delivery = self.with(|state, actions| {
            let received = match is_task {
                true => state.collect(&ticket, now, actions),
                false => state.receive(&ticket, now, borrower(caller), actions),
            };
            if received.is_none() && over && grace_ends.is_none() {
                grace_ends = state.grace(deadline, now).map(|grace| now + grace);
                over &= grace_ends.is_none();
            }
            let delivery = received.or_else(|| over.then(|| state.cancel(&ticket)).flatten());
            match delivery {
                Some(Delivery::Connection(_)) => state.served_after(waited),
                None if over => state.timed_out(waited),
                None if is_task => state.ring_at(&ticket, grace_ends.unwrap_or(deadline), now, actions),
                _ => {}
            }
            delivery
        });
        match delivery {
            Some(Delivery::Connection(entry)) => self.obtained(caller, entry),
            Some(Delivery::Refused(_)) => self.told(caller),
            Some(Delivery::Closed) => unreachable!("nobody closes the pool"),
            None if over => {
                self.trace(|| format!("TIMED OUT: {caller}"));
                self.figures.failed(self.callers[caller].since, now, beside_idle);
                self.pause(caller);
            }
            None => {
                let it = &mut self.callers[caller];
                it.ticket = Some(ticket);
                if let (true, Some(ends)) = (it.grace_ends != grace_ends, grace_ends) {
                    it.grace_ends = grace_ends;
                    if !is_task {
                        self.due(ends, Event::Deadline(caller, wait));
                    }
                }
                let it = &mut self.callers[caller];
                if std::mem::take(&mut it.woken) {
                    self.woken(caller); // Its own look woke it.
                }
            }
        }
    }

    /// A caller has a connection, and looks at it without a round trip.
    fn obtained(&mut self, caller: usize, mut entry: Box<Entry<LineId>>) {
        let (now, wall) = (self.now, self.wall());
        entry.lent_at = now;
        let rested = now - entry.last_used > Duration::from_millis(10);
        let slept = rested && self.with(|state, _| state.compare_clocks(now, wall));
        let broken = self.server.line(entry.slotted).killed;
        if slept || broken {
            self.with(|state, actions| {
                if broken && !slept {
                    entry.condemned = Some(CloseReason::Broken);
                    state.failed_look(&entry, now, actions);
                }
                state.reject(entry, now, actions);
            });
            return self.take(caller, false);
        }
        if entry.on_trial {
            self.with(|state, actions| state.found_well(&mut entry, Stage::Look, now, actions));
        }
        let it = &mut self.callers[caller];
        self.figures.served(it.since, now);
        let loan = match it.group.loan_until {
            Some(until) => (self.start + until).saturating_duration_since(now),
            None => within(it.group.loan, &mut self.random),
        };
        // A statement that hangs on a dead line ends by the holder's own time-out.
        let hangs = self.server.line(entry.slotted).swallowed;
        it.loan = Some(entry);
        self.due(now + if hangs { loan.max(HANGS) } else { loan }, Event::Return(caller));
    }

    pub(super) fn check_in_from(&mut self, caller: usize) {
        let now = self.now;
        let it = &mut self.callers[caller];
        let mut entry = it.loan.take().expect("it has a loan");
        entry.uses += 1;
        entry.was_touched = it.group.touch;
        self.server.comes_to(entry.slotted, stage_of_loan(&entry), &mut self.random);
        let line = self.server.line(entry.slotted);
        if line.demoted && entry.was_touched {
            entry.condemned = Some(CloseReason::WrongRole);
            self.figures.erred(now);
        } else if line.killed || line.swallowed {
            entry.condemned = Some(CloseReason::Broken);
        }
        if entry.condemned.is_none() && entry.was_touched {
            self.last_answer = Some(now);
        }
        let needs_reset = entry.condemned.is_none() && self.random.f64() < it.group.resets;
        entry.was_soiled = needs_reset;
        if let Some(entry) = self.park(caller, entry) {
            self.end_loan(entry);
        }
        self.pause(caller);
    }

    fn end_loan(&mut self, entry: Box<Entry<LineId>>) {
        let (now, needs) = (self.now, entry.was_soiled.then_some(Work::Reset));
        self.with(|state, actions| {
            match entry.condemned {
                Some(CloseReason::WrongRole) => state.wrong_role_in_use(&entry, now, actions),
                Some(_) => state.broke_in_use(&entry, now, actions),
                None => {}
            }
            let used = now - entry.lent_at;
            state.check_in(entry, used, needs, now, actions);
        });
    }

    fn told(&mut self, caller: usize) {
        self.figures.told(self.callers[caller].since, self.now);
        self.pause(caller);
    }

    pub(super) fn pause(&mut self, caller: usize) {
        let it = &mut self.callers[caller];
        it.ended += 1;
        let pause = match it.group.bursts {
            Some((length, rest)) if it.ended % length == 0 => rest,
            _ => within(it.group.pause, &mut self.random),
        };
        self.due(self.now + pause, Event::Get(caller));
    }

    /// Whether there is an idle connection whose server would answer.
    fn has_good_idle(&self) -> bool {
        self.state.idle.iter().any(|entry| self.server.line(entry.slotted).is_healthy())
    }

    /// At the end: a wait still under way counts with its length so far, except that of a task that is never polled again.
    pub(super) fn dismiss(&mut self) {
        for caller in 0..self.callers.len() {
            let it = &mut self.callers[caller];
            let Some(ticket) = it.ticket.take() else { continue };
            self.figures.left += 1;
            if it.group.tasks.is_none() || !it.woken {
                self.figures.waits(it.since, self.now);
            }
            self.leave(caller, &ticket);
        }
    }
}

impl Caller {
    fn deadline(&self) -> Instant {
        self.grace_ends.unwrap_or(self.since + self.group.patience)
    }
}

pub(super) fn borrower(caller: usize) -> Borrower {
    Borrower { call_site: Location::caller(), thread: caller }
}

pub(super) fn within((least, most): (Duration, Duration), random: &mut fastrand::Rng) -> Duration {
    least + (most - least).mul_f64(random.f64())
}

/// How long a holder waits for an answer.
const HANGS: Duration = Duration::from_secs(3);
