//! The passing of time in the world: alarms ring, calls overrun, and in the end everything heals.

use super::jobs::Fate;
use super::ops::{End, Shape};
use super::tasks::LONGEST_GRACE;
use super::waiting::{Leave, Waiting};
use super::world::World;
use crate::gate::Refusal;
use std::time::{Duration, Instant};

impl World {
    /// Time passes: each event on the way happens at its time.
    pub(super) fn pass(&mut self, span: Duration) {
        let target = self.now + span;
        while let Some(due) = self.next_due().filter(|due| *due <= target) {
            self.move_to(due);
            self.happen();
        }
        self.move_to(target);
        self.check_all_leaks_told();
        self.check();
        self.check_tasks_in_time();
    }

    /// The process is frozen while time passes outside; then everything due happens at once.
    pub(super) fn freeze(&mut self, span: Duration) {
        self.now += span / 2;
        self.wall += span;
        self.happen();
        self.check();
        self.note_who_is_put_off(span / 2);
        self.check_tasks_in_time();
    }

    fn move_to(&mut self, time: Instant) {
        if time > self.now {
            self.wall += time - self.now;
            self.now = time;
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let calls = self.jobs.iter().filter(|job| job.fate.is_none()).map(|job| job.over_at);
        calls.chain(self.alarm).min()
    }

    /// Runs everything due now.
    fn happen(&mut self) {
        let mut rings = 0;
        loop {
            let now = self.now;
            if let Some(slot) =
                self.jobs.iter().find(|job| job.fate.is_none() && job.over_at <= now).map(|job| job.slot)
            {
                self.abort(slot);
            } else if let Some(alarm) = self.alarm.take_if(|alarm| *alarm <= now) {
                self.tick(alarm);
                rings += 1;
                assert!(rings < 50, "alarms without end at one moment");
            } else {
                return;
            }
            self.check();
        }
    }

    fn tick(&mut self, alarm: Instant) {
        let (now, wall) = (self.now, self.wall);
        let counts = self.state.alarm.is_none_or(|wanted| wanted <= now) && !self.book.closed;
        self.with_noted(
            |state, actions| state.tick(alarm, now, wall, actions),
            |world, ()| {
                if counts {
                    world.book.compare(now, wall);
                }
            },
        );
    }

    /// From now on every driver call succeeds, and woken waiters look. At first the loans stay out: waiters must be served while there is
    /// room. Then the loans end, and all must be served.
    pub(super) fn heal(mut self) {
        if self.config.reclaim_after == Duration::MAX {
            // Such a task keeps its delivery.
            self.drop_the_forgotten();
        }
        for _ in 0..self.jobs.len() {
            // A call that was given up before fails now, for the last time.
            if let Some(place) = self.jobs.iter().position(|job| job.fate != Some(Fate::Stuck)) {
                self.end_job(place, End::Well);
            }
        }
        self.recover(|world| world.waiting.is_empty() || world.is_full());
        assert!(
            self.waiting.is_empty() || self.is_full(),
            "{} wait while there is room: {}",
            self.waiting.len(),
            self.summary()
        );
        self.recover(World::has_its_idle_ones);
        assert!(self.has_its_idle_ones(), "fewer idle than min_idle: {}", self.summary());

        while let Some(place) = self.jobs.iter().position(|job| job.fate.is_some()) {
            self.end_job(place, End::Well);
        }
        for _ in 0..1_000 {
            while !self.lent.is_empty() {
                self.check_in(0, Shape::Clean);
            }
            self.recover(|world| world.waiting.is_empty() || !world.lent.is_empty());
            let is_over = self.waiting.is_empty() && self.lent.is_empty();
            if is_over && self.served.iter().all(|(waiting, _)| waiting.is_forgotten()) {
                break;
            }
        }
        assert!(self.waiting.is_empty(), "{} wait forever: {}", self.waiting.len(), self.summary());

        self.close();
        self.dismiss();
        while !self.jobs.is_empty() {
            self.end_job(0, End::Well);
        }
        assert_eq!(self.state.occupied(), 0, "a slot is lost: {}", self.summary());
        assert_eq!(self.book.alive.len(), 0, "a connection is lost: {}", self.summary());
    }

    /// Runs a healthy world until `well` holds, for at most the longest possible pause.
    fn recover(&mut self, well: fn(&Self) -> bool) {
        let pause = self.book.trouble.map_or(Duration::ZERO, |trouble| match trouble.kind {
            Refusal::Permanent => Duration::from_secs(30),
            _ if trouble.retry_at - trouble.since > Duration::from_secs(30) => Duration::from_secs(5),
            _ => Duration::from_millis(500),
        });
        let forgotten = self.all_who_wait().filter(|waiting| waiting.is_forgotten());
        // Each may be given a connection once more, or has one, and has more time for it since a stall.
        let stall = |waiting: &Waiting| waiting.longest_stall(self.config.reclaim_after) + LONGEST_GRACE;
        let stalls: Duration = forgotten.map(stall).sum();
        let mut patience = self.now + pause + A_MOMENT + stalls;
        let mut is_in_doubt = false;
        while self.now < patience {
            // If a connection died young, even one found only now, new ones are opened one at a time until a second has passed.
            if !is_in_doubt && self.state.gate.doubts_the_new() {
                is_in_doubt = true;
                patience += 4 * Duration::from_millis(500);
            }
            if let Some(pick) = self.next_look() {
                self.on_waiter(pick, Leave::No);
            } else if well(self) {
                return;
            } else if let Some(place) = self.jobs.iter().position(|job| job.fate != Some(Fate::Stuck)) {
                self.pass(Duration::from_millis(1));
                if place < self.jobs.len() {
                    self.end_job(place, End::Well);
                }
            } else if let Some(due) = self.next_due() {
                let span = due.saturating_duration_since(self.now);
                self.pass(span.max(Duration::from_micros(1)));
            } else {
                return;
            }
        }
    }

    /// A waiter with a reason to look.
    fn next_look(&self) -> Option<usize> {
        let in_line = self.served.len()..self.served.len() + self.waiting.len();
        let has_reason =
            |(place, it): &(usize, &Waiting)| !it.is_forgotten() && (!in_line.contains(place) || self.is_woken(it));
        self.all_who_wait().enumerate().find(has_reason).map(|(place, _)| place)
    }

    /// Whether every slot is taken by a loan, or by a hung call that cannot be aborted.
    fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// Whether `min_idle` connections are idle, as far as there is room.
    fn has_its_idle_ones(&self) -> bool {
        let wanted = self.room().min(self.config.min_idle as usize);
        self.book.closed || self.state.idle.len() >= wanted
    }

    fn room(&self) -> usize {
        let stuck = self.jobs.iter().filter(|job| job.fate == Some(Fate::Stuck)).count();
        let lent = self.lent.len() - self.aborted.len();
        (self.config.max_size as usize).saturating_sub(stuck + lent)
    }
}

/// Without failures, everything is well again after a few calls of a millisecond each.
const A_MOMENT: Duration = Duration::from_millis(150);
