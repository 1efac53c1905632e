//! The tasks of the world: futures that are polled at any time, dropped, or never polled again, and deliveries reclaimed from them.

use super::waiting::{Gift, Leave, Manner, Waiting};
use super::world::{Broken, World};
use crate::state::actions::Delivery;
use std::time::{Duration, Instant};

/// The part of a waiter that only tasks have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Future {
    /// It is never polled again.
    pub(super) is_forgotten: bool,
    deadline: Option<Instant>,
    /// Its deadline passed while the process was frozen, and it got more time.
    has_grace: bool,
    /// Before this time its delivery must not be reclaimed.
    own_until: Option<Instant>,
    /// By this time its delivery is reclaimed, if it is not polled.
    gone_by: Option<Instant>,
    /// This time was put off because the process was frozen.
    was_put_off: bool,
    /// How often a delivery was reclaimed from it.
    missed: u32,
}

/// The place of a task when an operation applies to it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Served(Gift),
    InLine(usize),
    Absent,
}

/// The result of a poll.
enum Polled {
    Delivery(Delivery<(), Broken>),
    TimedOut,
    Pending,
}

impl Future {
    pub(super) fn of(manner: Manner) -> Option<Self> {
        let Manner::Task(deadline) = manner else { return None };
        let (is_forgotten, has_grace, was_put_off) = (false, false, false);
        Some(Self { is_forgotten, deadline, has_grace, own_until: None, gone_by: None, was_put_off, missed: 0 })
    }
}

impl Waiting {
    /// A connection was delivered to it.
    pub(super) fn note_delivery(&mut self, now: Instant, reclaim_after: Duration) {
        let stall = self.longest_stall(reclaim_after);
        if let Some(future) = &mut self.future {
            let until = now.checked_add(stall);
            (future.own_until, future.gone_by, future.was_put_off) = (until, until, false);
        }
    }

    /// How long it may keep a delivery without being polled. The time doubles with each reclaimed delivery, four times.
    pub(super) fn longest_stall(&self, reclaim_after: Duration) -> Duration {
        let missed = self.future.map_or(0, |future| future.missed);
        (0..missed.min(4)).fold(reclaim_after, |stall, _| stall.saturating_mul(2))
    }

    fn future(&self) -> Future {
        self.future.expect("it is a task")
    }
}

impl World {
    /// Polls or drops a task.
    pub(super) fn on_task(&mut self, mut task: Waiting, place: Place, leave: Leave) {
        self.unwake(&task);
        if leave == Leave::AtOnce {
            return self.drop_task(&task, place);
        }
        let ahead: Vec<usize> =
            self.waiting.iter().filter(|other| other.since <= task.since).map(|other| other.number).collect();
        let polled = self.poll(&mut task);
        if !matches!(polled, Polled::Pending) {
            self.unwake(&task);
        }
        match (place, polled) {
            (Place::InLine(place), Polled::Pending) => self.waiting.insert(place, task),
            // It keeps its place.
            (Place::Absent, Polled::Pending) => self.stand(task),
            (Place::InLine(_) | Place::Absent, Polled::TimedOut) => self.book.timed_out += 1,
            (Place::Served(Gift::Word), Polled::Delivery(Delivery::Refused(_) | Delivery::Closed)) => {}
            (Place::Absent, Polled::Delivery(Delivery::Closed)) => assert!(self.book.closed),
            (Place::Served(Gift::Connection(id)), Polled::Delivery(Delivery::Connection(entry))) => {
                assert_eq!(id, entry.id, "not what was delivered");
                self.obtained(task.number, entry);
                return self.look_at_last(task.since, Manner::Task(task.future().deadline));
            }
            (Place::Absent, Polled::Delivery(Delivery::Connection(entry))) => {
                self.book.lent(entry.id, self.now);
                self.assert_lendable(entry.id);
                self.obtained(task.number, entry);
                let overtaken = self.waiting.iter().find(|other| ahead.contains(&other.number));
                assert_eq!(overtaken.map(|other| other.number), None, "overtaken");
                return self.look_at_last(task.since, Manner::Task(task.future().deadline));
            }
            (place, _) => panic!("lost: {place:?}"),
        }
        self.check();
    }

    fn poll(&mut self, task: &mut Waiting) -> Polled {
        let (now, ticket, mut future) = (self.now, &task.ticket, task.future());
        let waited = now - task.since;
        let polled = self.with(|state, actions| {
            if let Some(delivery) = state.collect(ticket, now, actions) {
                return Polled::Delivery(delivery);
            }
            if let Some(ended) = future.deadline.filter(|deadline| *deadline <= now) {
                let grace = if future.has_grace { None } else { state.grace(ended, now) };
                let Some(grace) = grace else {
                    assert!(state.cancel(ticket).is_none(), "overlooked");
                    state.timed_out(waited);
                    return Polled::TimedOut;
                };
                (future.deadline, future.has_grace) = (Some(now + grace), true);
            }
            if let Some(deadline) = future.deadline {
                state.ring_at(ticket, deadline, now, actions);
            }
            Polled::Pending
        });
        task.future = Some(future);
        polled
    }

    fn drop_task(&mut self, task: &Waiting, place: Place) {
        let now = self.now;
        let left = self.with(|state, actions| state.abandon(&task.ticket, now, actions));
        self.book.cancelled += 1;
        match (place, left) {
            (Place::Served(Gift::Word), Some(Delivery::Refused(_) | Delivery::Closed)) => {}
            (Place::Served(Gift::Connection(_)) | Place::InLine(_) | Place::Absent, None) => {}
            (place, _) => panic!("not what was left: {place:?}"),
        }
        self.check();
    }

    pub(super) fn forget(&mut self, pick: usize) {
        let served = self.served.iter_mut().map(|(waiting, _)| waiting);
        let all = served.chain(&mut self.waiting).chain(&mut self.absent);
        let mut tasks: Vec<&mut Future> = all.filter_map(|waiting| waiting.future.as_mut()).collect();
        let pick = pick % tasks.len().max(1);
        if let Some(task) = tasks.get_mut(pick) {
            task.is_forgotten = true;
        }
    }

    pub(super) fn drop_the_forgotten(&mut self) {
        let forgotten = |world: &Self| world.all_who_wait().position(Waiting::is_forgotten);
        while let Some(place) = forgotten(self) {
            self.on_waiter(place, Leave::AtOnce);
        }
    }

    /// The pool is closed: all waiters receive the error.
    pub(super) fn dismiss(&mut self) {
        self.drop_the_forgotten();
        while self.all_who_wait().next().is_some() {
            self.on_waiter(0, Leave::No);
        }
        assert!(self.state.tasks.next_moment().is_none(), "part of a task is left");
    }

    /// A delivery that is no longer lent to its task was reclaimed. That must not happen before its time, unless the pool is closed.
    pub(super) fn find_what_was_reclaimed(&mut self, lent: &[(usize, u64)]) {
        for (mut waiting, gift) in std::mem::take(&mut self.served) {
            match gift {
                Gift::Connection(id) if !lent.contains(&(waiting.number, id)) => {
                    let future = waiting.future.as_mut().expect("it is a task");
                    future.missed += 1;
                    let may_be = self.book.closed || future.own_until.is_some_and(|until| until <= self.now);
                    assert!(may_be, "reclaimed too soon: {}", self.summary());
                    self.absent.push(waiting);
                }
                _ => self.served.push((waiting, gift)),
            }
        }
    }

    /// After the alarms have rung, each task past its deadline was woken, and no task keeps a delivery past its time.
    pub(super) fn check_tasks_in_time(&self) {
        if self.book.closed {
            return;
        }
        let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= self.now);
        for task in self.waiting.iter().chain(&self.absent) {
            let late = task.future.is_some_and(|future| is_over(future.deadline));
            assert!(!late || self.is_woken(task), "past its deadline, and asleep: {}", self.summary());
        }
        for (task, gift) in &self.served {
            let kept = task.future.is_some_and(|future| is_over(future.gone_by)) && *gift != Gift::Word;
            assert!(!kept, "not reclaimed: {}", self.summary());
        }
    }

    /// The process was frozen for this long, so no task could be polled: each gets more time, once.
    pub(super) fn note_who_is_put_off(&mut self, stall: Duration) {
        let now = self.now;
        let given = self.served.iter_mut().filter(|(_, gift)| *gift != Gift::Word);
        let futures = given.filter_map(|(waiting, _)| waiting.future.as_mut());
        for future in futures.filter(|future| future.gone_by.is_some_and(|by| by <= now)) {
            assert!(stall > Duration::from_millis(10) && !future.was_put_off, "put off after {stall:?}: {future:?}");
            (future.gone_by, future.was_put_off) = (Some(now + LONGEST_GRACE), true);
        }
    }
}

/// How long a stall of the process puts off deadlines.
pub(super) const LONGEST_GRACE: Duration = Duration::from_millis(250);
