//! The timetable of a set, and the timer, the thread that keeps it. It runs no job, hook or event, and of the user's code only what ends
//! a call and must not block.

use crate::contain::contained;
use crate::seeded;
use crate::sync;
use crate::sync::MutexGuard;
#[cfg(not(loom))]
use crate::sync::Ordering;
use crate::workers::accounts::Retries;
use crate::workers::set::{Set, SetState};
use crate::workers::{CURRENT, TIMER};
use std::sync::Arc;
use std::time::Instant;

/// An entry in the timetable.
pub(crate) type Alarm = (Instant, u64);

/// The action of an alarm.
pub(super) type Ring = Box<dyn FnOnce() + Send>;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// It was not needed yet, or no thread could be spawned.
    #[default]
    Absent,
    /// It will look at the timetable before it sleeps.
    Awake,
    Asleep(Option<Instant>),
}

impl Set {
    /// Enters an alarm.
    pub(super) fn at(self: &Arc<Self>, pool: usize, time: Instant, ring: Ring) -> Alarm {
        let mut state = self.state.lock();
        let alarm = state.enter(pool, time, ring);
        self.rouse_timer(state, time);
        alarm
    }

    /// Enters the maintenance of a pool. There is one at a time: the earlier of two is kept.
    pub(super) fn schedule_maintenance(self: &Arc<Self>, pool: usize, time: Instant, ring: Ring) {
        let mut state = self.state.lock();
        let Some(account) = state.accounts.get(&pool).filter(|account| account.open) else { return };
        let pending = account.maintenance;
        if pending.is_some_and(|(pending, _)| pending <= time) {
            return;
        }
        let mut later = pending.and_then(|alarm| state.alarms.remove(&alarm));
        if seeded::bug("unlocks_before_it_replaces_an_alarm") {
            drop(state);
            state = self.state.lock();
            let pending = state.accounts.get(&pool).and_then(|account| account.maintenance);
            later = pending.and_then(|alarm| state.alarms.remove(&alarm)).or(later);
        }
        let alarm = state.enter(pool, time, ring);
        state.accounts.entry(pool).or_default().maintenance = Some(alarm);
        self.rouse_timer(state, time);
        drop(later);
    }

    /// Removes an alarm, if it has not rung. The timer is not woken, and notices when its sleep ends.
    pub(super) fn cancel_alarm(&self, alarm: Alarm) {
        let mut state = self.state.lock();
        let ring = state.alarms.remove(&alarm);
        let was_the_last = state.open == 0 && state.alarms.is_empty();
        drop(state);
        drop(ring);
        if was_the_last {
            self.dismiss_timer();
        }
    }

    /// No pool is open: the timer ends if no alarm is left.
    pub(super) fn dismiss_timer(&self) {
        self.timetable.notify_one();
        #[cfg(loom)]
        self.stage.notify_all();
    }

    /// There is something for the timer to do at `time`.
    pub(super) fn rouse_timer(self: &Arc<Self>, mut state: MutexGuard<'_, SetState>, time: Instant) {
        match state.timer {
            Timer::Absent => self.spawn_timer(state),
            Timer::Asleep(until) if until.is_none_or(|until| time < until) => {
                state.timer = Timer::Awake;
                drop(state);
                self.timetable.notify_one();
            }
            Timer::Asleep(_) | Timer::Awake => {}
        }
    }

    #[cfg(not(loom))]
    fn spawn_timer(self: &Arc<Self>, mut state: MutexGuard<'_, SetState>) {
        state.timer = Timer::Awake;
        let number = state.new_thread();
        drop(state);
        let set = Arc::clone(self);
        if !self.spawn("cabrank-timer", number, move || set.keep_time(number)) {
            let mut state = self.state.lock();
            state.timer = Timer::Absent;
            self.starved.store(true, Ordering::Release);
        }
    }

    /// In a model, the model's own threads ring the alarms.
    #[cfg(loom)]
    fn spawn_timer(self: &Arc<Self>, _: MutexGuard<'_, SetState>) {
        self.stage.notify_all();
    }

    /// The timer's life: rings the alarms that are due, and sleeps. It stays while a pool is open, because it must be there to try again
    /// when no thread can be started.
    #[cfg_attr(loom, expect(dead_code, reason = "a model rings the alarms itself"))]
    fn keep_time(self: &Arc<Self>, number: u64) {
        CURRENT.set(TIMER);
        let mut retries = Retries::new();
        let mut state = self.state.lock();
        loop {
            if self.is_starved() {
                drop(state);
                self.retry();
                state = self.state.lock();
            }
            if let Some((_, ring)) = state.ring(Some(sync::now())) {
                drop(state);
                let _ = contained(ring);
                state = self.state.lock();
                continue;
            }
            if state.open == 0 && state.alarms.is_empty() && state.jobs.is_empty() {
                state.timer = Timer::Absent;
                return self.leave(number, state);
            }
            let mut until = state.alarms.first_key_value().map(|(first, _)| first.0);
            if self.is_starved() {
                until = retries.next(until);
            } else {
                retries = Retries::new();
            }
            state.timer = Timer::Asleep(until);
            state = self.timetable.wait(state, until);
            state.timer = Timer::Awake;
        }
    }
}

impl SetState {
    fn enter(&mut self, pool: usize, time: Instant, ring: Ring) -> Alarm {
        self.serial += 1;
        let alarm = (time, self.serial);
        self.alarms.insert(alarm, (pool, ring));
        alarm
    }

    /// Takes the first alarm from the timetable, if it rings by `now`; `None` is the end of all time.
    pub(super) fn ring(&mut self, now: Option<Instant>) -> Option<(Alarm, Ring)> {
        let first = self.alarms.first_entry().filter(|first| now.is_none_or(|now| first.key().0 <= now))?;
        let (alarm, (pool, ring)) = first.remove_entry();
        if let Some(account) = self.accounts.get_mut(&pool) {
            account.maintenance = account.maintenance.filter(|&maintenance| maintenance != alarm);
        }
        Some((alarm, ring))
    }
}
