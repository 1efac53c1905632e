//! The workers' threads: who is started, what each does with its life, and when it ends.

#[cfg(not(loom))]
use crate::contain::contained;
#[cfg(not(loom))]
use crate::sync;
use crate::sync::MutexGuard;
#[cfg(not(loom))]
use crate::sync::after;
#[cfg(not(loom))]
use crate::workers::WORKER;
use crate::workers::{Alarm, WorkQueue, WorkState};
use std::sync::Arc;
#[cfg(not(loom))]
use std::time::Duration;
use std::time::Instant;

impl<J: Send + 'static> WorkQueue<J> {
    pub(super) fn mark(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self) as usize
    }

    /// Enters a job in the timetable.
    pub(super) fn enter(self: &Arc<Self>, mut state: MutexGuard<'_, WorkState<J>>, time: Instant, job: J) -> Alarm {
        state.serial += 1;
        let alarm = (time, state.serial);
        if state.winding_down.is_some_and(|keep| !keep(&job)) {
            drop(state);
            drop(job);
            return alarm;
        }
        let earliest = state.alarms.first_key_value().is_none_or(|(first, _)| alarm < *first);
        state.alarms.insert(alarm, job);
        if earliest {
            // The timekeeper sleeps until a later alarm.
            self.work.notify_all();
        }
        self.spawn_if_needed(state);
        alarm
    }

    /// Sees to it that somebody takes the first job and somebody watches the timetable.
    pub(super) fn spawn_if_needed(self: &Arc<Self>, mut state: MutexGuard<'_, WorkState<J>>) {
        let no_timekeeper = !state.alarms.is_empty() && !state.has_timekeeper;
        let wanted = state.jobs.len() + usize::from(no_timekeeper);
        if wanted == 0 {
            return;
        }
        if state.resting > 0 {
            self.work.notify_one();
        }
        if wanted > state.resting && state.threads < state.most.saturating_add(state.extra) {
            self.spawn(&mut state);
        }
    }

    #[cfg(not(loom))]
    fn spawn(self: &Arc<Self>, state: &mut WorkState<J>) {
        state.serial += 1;
        let worker_id = state.serial;
        let queue = Arc::clone(self);
        let spawned = sync::spawn(&self.name, move || {
            WORKER.with(|place| place.set((queue.mark(), worker_id)));
            queue.work(worker_id);
        });
        // A thread that cannot be spawned leaves the job in the queue. Nothing is lost, nothing panics.
        if let Ok(handle) = spawned {
            state.threads += 1;
            if state.handles.len() >= KEPT {
                // Nobody will join these. They are over but for what the operating system still does.
                state.handles.retain(|_, handle| !handle.is_finished());
            }
            state.handles.insert(worker_id, handle);
        }
    }

    /// In a model, the model's own threads take the jobs.
    #[cfg(loom)]
    fn spawn(self: &Arc<Self>, _: &mut WorkState<J>) {}

    /// One thread's life.
    #[cfg(not(loom))]
    fn work(self: &Arc<Self>, worker_id: u64) {
        let mut state = self.state.lock();
        loop {
            match self.next(state) {
                (mut next, Some(job)) => {
                    // Before this thread is lost in a job, another must be at hand for what else there is.
                    if !next.jobs.is_empty() || !next.alarms.is_empty() {
                        self.spawn_if_needed(next);
                    } else {
                        drop(next);
                    }
                    // Whatever a job drops may be the user's, and its panic must not cost this thread.
                    let _ = contained(|| (self.run)(job));
                    next = self.state.lock();
                    if let Some(place) = next.written_off.iter().position(|&lost| lost == worker_id) {
                        // It came back after all, but its place is taken.
                        next.written_off.swap_remove(place);
                        self.ended.notify_all();
                        return;
                    }
                    state = next;
                }
                (mut last, None) => {
                    last.threads -= 1;
                    self.ended.notify_all();
                    return;
                }
            }
        }
    }

    /// Rests until there is a job. `None`: this thread is not needed any more.
    #[cfg(not(loom))]
    fn next<'a>(&'a self, mut state: MutexGuard<'a, WorkState<J>>) -> (MutexGuard<'a, WorkState<J>>, Option<J>) {
        let retires = after(sync::now(), REST);
        loop {
            // Alarms first: they end calls that hang, and free the threads that jobs wait for.
            let now = sync::now();
            if state.alarms.first_key_value().is_some_and(|(first, _)| first.0 <= now) {
                let rung = state.first_alarm();
                return (state, rung.map(|(_, job)| job));
            }
            if let Some(job) = state.jobs.pop_front() {
                return (state, Some(job));
            }
            let keeps_time = !state.has_timekeeper && !state.alarms.is_empty();
            if !keeps_time && (state.winding_down.is_some() || retires.is_some_and(|retires| retires <= now)) {
                return (state, None);
            }
            let until = match state.alarms.first_key_value() {
                Some(((alarm, _), _)) if keeps_time => Some(*alarm),
                _ => retires,
            };
            state.has_timekeeper |= keeps_time;
            state.resting += 1;
            state = self.work.wait(state, until);
            state.resting -= 1;
            if keeps_time {
                state.has_timekeeper = false;
            }
        }
    }
}

/// So many handles of threads that have ended are kept, for `join` to wait until they are wholly gone.
#[cfg(not(loom))]
const KEPT: usize = 64;

/// A thread without work retires after this long.
#[cfg(not(loom))]
const REST: Duration = Duration::from_secs(10);
