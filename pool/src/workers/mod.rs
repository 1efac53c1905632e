//! The workers: a queue of jobs, a timetable, and as many threads as there is work for.
//!
//! Knows no pool: a job is a `J`, and running one is the business of a function given to it when it is made. Threads are started on
//! demand and retire after a while without work; one of those that rest watches the timetable. This file is what the pool
//! sees of them; their lives are `threads.rs`.

#[cfg(all(test, not(loom)))]
mod tests;
mod threads;

use crate::sync;
use crate::sync::{Condvar, JoinHandle, Mutex};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// A handle on the threads. When it is dropped they finish the jobs that are queued, and end.
pub(crate) struct Workers<J: Send + 'static>(Arc<WorkQueue<J>>);

/// An entry in the timetable.
pub(crate) type Alarm = (Instant, u64);

#[cfg_attr(loom, expect(dead_code, reason = "a model runs the jobs itself"))]
struct WorkQueue<J> {
    name: String,
    run: fn(J),
    state: Mutex<WorkState<J>>,
    /// There is a job, an earlier alarm, or a reason to end.
    work: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

struct WorkState<J> {
    jobs: VecDeque<J>,
    alarms: BTreeMap<Alarm, J>,
    serial: u64,
    /// The most threads at a time, those written off not counted.
    most: usize,
    /// How many more there may be for those that are lost in calls that were aborted.
    extra: usize,
    threads: usize,
    resting: usize,
    /// Does one of those that rest watch the timetable?
    has_timekeeper: bool,
    handles: HashMap<u64, JoinHandle<()>>,
    written_off: Vec<u64>,
    /// Threads end as soon as there is nothing to do, and only alarms that this wants are taken.
    winding_down: Option<fn(&J) -> bool>,
    /// The one alarm of `schedule_maintenance`.
    maintenance: Option<Alarm>,
}

thread_local! {
    /// Which workers this thread belongs to, and its number there.
    static WORKER: Cell<(usize, u64)> = const { Cell::new((0, 0)) };
}

impl<J: Send + 'static> Workers<J> {
    pub(crate) fn new(name: &str, most: usize, run: fn(J)) -> Self {
        let state = WorkState {
            jobs: VecDeque::new(),
            alarms: BTreeMap::new(),
            serial: 0,
            most,
            extra: 0,
            threads: 0,
            resting: 0,
            has_timekeeper: false,
            handles: HashMap::new(),
            written_off: Vec::new(),
            winding_down: None,
            maintenance: None,
        };
        Self(Arc::new(WorkQueue {
            name: name.to_owned(),
            run,
            state: Mutex::new(state),
            work: Condvar::new(),
            ended: Condvar::new(),
        }))
    }

    /// Queues a job. If no thread can be spawned it stays queued for the next thread or the next call.
    pub(crate) fn submit(&self, job: J) {
        let mut state = self.0.state.lock();
        state.jobs.push_back(job);
        self.0.spawn_if_needed(state);
    }

    /// Queues a job for a later time.
    pub(crate) fn at(&self, time: Instant, job: J) -> Alarm {
        self.0.enter(self.0.state.lock(), time, job)
    }

    /// Queues the next maintenance. There is one at a time: the earlier of two is kept.
    pub(crate) fn schedule_maintenance(&self, time: Instant, job: J) {
        let mut state = self.0.state.lock();
        let later = match state.maintenance {
            Some(alarm) if alarm.0 <= time => return,
            Some(alarm) => state.alarms.remove(&alarm),
            None => None,
        };
        state.maintenance = Some((time, state.serial + 1));
        self.0.enter(state, time, job);
        drop(later);
    }

    /// Removes a job from the timetable, if it is still there.
    pub(crate) fn cancel_alarm(&self, alarm: Alarm) {
        let mut state = self.0.state.lock();
        let job = state.alarms.remove(&alarm);
        let over = state.winding_down.is_some() && state.alarms.is_empty();
        drop(state);
        drop(job);
        if over {
            // The timekeeper would sleep on for an alarm that never rings.
            self.0.work.notify_all();
        }
    }

    /// Tries again to find a thread for what is queued.
    pub(crate) fn retry(&self) {
        let state = self.0.state.lock();
        if !state.jobs.is_empty() {
            self.0.spawn_if_needed(state);
        }
    }

    /// Lets there be at least so many threads at a time. Never fewer than before: what a larger pool began may still run.
    pub(crate) fn widen_to(&self, most: usize) {
        let mut state = self.0.state.lock();
        state.most = state.most.max(most);
        self.0.spawn_if_needed(state);
    }

    /// Lets there be so many threads more, or less, besides those that `resize` sets.
    pub(crate) fn widen(&self, difference: isize) {
        let mut state = self.0.state.lock();
        state.extra = state.extra.saturating_add_signed(difference);
        self.0.spawn_if_needed(state);
    }

    /// Is this thread a worker?
    pub(crate) fn is_current(&self) -> bool {
        WORKER.try_with(|worker_id| worker_id.get().0 == self.0.mark()).unwrap_or(false)
    }

    /// This thread's number in the workers, by which it can be written off.
    pub(crate) fn worker_id(&self) -> u64 {
        WORKER.with(|worker_id| worker_id.get().1)
    }

    /// Counts a thread out: it hangs where nobody can reach it. Another may take its place.
    pub(crate) fn write_off(&self, worker_id: u64) {
        let mut state = self.0.state.lock();
        if !state.written_off.contains(&worker_id) {
            state.written_off.push(worker_id);
            state.threads -= 1;
        }
        self.0.spawn_if_needed(state);
    }

    /// Lets threads end as soon as there is nothing to do. Alarms that `keep` does not want are cancelled.
    pub(crate) fn wind_down(&self, keep: fn(&J) -> bool) {
        let mut state = self.0.state.lock();
        state.winding_down = Some(keep);
        let alarms = std::mem::take(&mut state.alarms);
        let (kept, cancelled): (BTreeMap<_, _>, BTreeMap<_, _>) = alarms.into_iter().partition(|(_, job)| keep(job));
        state.alarms = kept;
        drop(state);
        drop(cancelled);
        self.0.work.notify_all();
    }

    /// Waits until all threads have ended, those written off included, or until `deadline`. Returns how many are left.
    /// Only after [`wind_down`](Self::wind_down).
    pub(crate) fn join(&self, deadline: Option<Instant>) -> usize {
        let mut state = self.0.state.lock();
        while state.threads + state.written_off.len() > 0 && deadline.is_none_or(|deadline| sync::now() < deadline) {
            state = self.0.ended.wait(state, deadline);
        }
        let left = state.threads + state.written_off.len();
        if state.threads == 0 {
            let written_off = std::mem::take(&mut state.written_off);
            let (lost, over): (HashMap<_, _>, HashMap<_, _>) = std::mem::take(&mut state.handles)
                .into_iter()
                .partition(|(worker_id, _)| written_off.contains(worker_id));
            (state.handles, state.written_off) = (lost, written_off);
            drop(state);
            // Each of these has done its last work: joining waits for the operating system only.
            for (_, handle) in over {
                let _ = handle.join();
            }
        }
        left
    }

    /// How many threads there are now, those written off not counted.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn threads(&self) -> usize {
        self.0.state.lock().threads
    }

    /// Waits for a job, for a model that plays the workers itself. `None`: no more is to come.
    #[cfg(all(test, loom))]
    pub(crate) fn take(&self) -> Option<J> {
        self.await_job(|_| None)
    }

    /// As [`take`](Self::take), but when there is no job lets the time pass until the first alarm.
    #[cfg(all(test, loom))]
    pub(crate) fn take_or_ring(&self) -> Option<J> {
        self.await_job(WorkState::ring)
    }

    #[cfg(all(test, loom))]
    fn await_job(&self, otherwise: fn(&mut WorkState<J>) -> Option<J>) -> Option<J> {
        let mut state = self.0.state.lock();
        loop {
            let job = state.jobs.pop_front().or_else(|| otherwise(&mut state));
            if job.is_some() {
                return job;
            }
            if state.winding_down.is_some() {
                return None;
            }
            state.resting += 1;
            state = self.0.work.wait(state, None);
            state.resting -= 1;
        }
    }
}

impl<J> WorkState<J> {
    /// Takes the first alarm from the timetable.
    #[cfg_attr(all(loom, not(test)), expect(dead_code, reason = "a model takes the alarms itself"))]
    fn first_alarm(&mut self) -> Option<(Instant, J)> {
        let (alarm, job) = self.alarms.pop_first()?;
        self.maintenance = self.maintenance.filter(|&maintenance| maintenance != alarm);
        Some((alarm.0, job))
    }

    #[cfg(all(test, loom))]
    fn ring(&mut self) -> Option<J> {
        let (at, job) = self.first_alarm()?;
        sync::advance(at.saturating_duration_since(sync::now()));
        Some(job)
    }
}

impl<J: Send + 'static> Drop for Workers<J> {
    fn drop(&mut self) {
        // Never joins: the last handle may be dropped by one of these threads.
        self.wind_down(|_| false);
    }
}
