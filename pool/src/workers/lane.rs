//! A pool's work without a waiter: it goes through a lane that uses a few threads at a time.

use crate::contain::contained;
use crate::sync::{Mutex, MutexGuard};
use crate::workers::set::{Set, Task};
use std::collections::VecDeque;
use std::sync::Arc;

pub(super) struct Lane<J> {
    run: fn(J),
    state: Mutex<LaneState<J>>,
}

struct LaneState<J> {
    /// The jobs that have not begun, with their keys.
    jobs: VecDeque<(usize, J)>,
    /// How many threads were requested and have not come.
    asked: usize,
    /// The keys of the jobs under way that have a place in the lane.
    places: Vec<usize>,
}

impl<J: Send + 'static> Lane<J> {
    pub(super) fn new(run: fn(J)) -> Arc<Self> {
        Arc::new(Self { run, state: Mutex::new(LaneState { jobs: VecDeque::new(), asked: 0, places: Vec::new() }) })
    }

    /// Queues these jobs, each with its key. Requests at most one thread, which requests the next.
    pub(super) fn enter(self: &Arc<Self>, set: &Arc<Set>, pool: usize, jobs: impl IntoIterator<Item = (usize, J)>) {
        let mut state = self.state.lock();
        state.jobs.extend(jobs);
        self.go_on(state, set, pool);
    }

    /// The job under way with this key may never end: another thread gets its place. When the job has ended, its thread leaves.
    pub(super) fn give_up_place(self: &Arc<Self>, set: &Arc<Set>, pool: usize, key: usize) {
        let mut state = self.state.lock();
        if state.ends(key) {
            self.go_on(state, set, pool);
        }
    }

    /// Takes the first job of this kind out of the lane.
    pub(super) fn pull(&self, is_wanted: impl Fn(&J) -> bool) -> Option<J> {
        let mut state = self.state.lock();
        let place = state.jobs.iter().position(|(_, job)| is_wanted(job))?;
        state.jobs.remove(place).map(|(_, job)| job)
    }

    /// Changes all queued jobs. They wait for none of those under way.
    pub(super) fn change(self: &Arc<Self>, set: &Arc<Set>, pool: usize, mut change: impl FnMut(&mut J)) {
        let mut state = self.state.lock();
        state.jobs.iter_mut().for_each(|(_, job)| change(job));
        state.places.clear();
        self.go_on(state, set, pool);
    }

    fn go_on(self: &Arc<Self>, mut state: MutexGuard<'_, LaneState<J>>, set: &Arc<Set>, pool: usize) {
        if !state.jobs.is_empty() && state.asked + state.places.len() < WIDTH {
            let task = self.ask(&mut state, set, pool);
            drop(state);
            set.submit(task);
        }
    }

    /// The work of a thread that is requested.
    fn ask(self: &Arc<Self>, state: &mut LaneState<J>, set: &Arc<Set>, pool: usize) -> Task {
        state.asked += 1;
        let (lane, its_set) = (Arc::clone(self), Arc::clone(set));
        Task::new(pool, move || lane.work_off(&its_set, pool)).in_background()
    }

    fn work_off(self: &Arc<Self>, set: &Arc<Set>, pool: usize) {
        let mut state = self.state.lock();
        state.asked -= 1;
        while let Some((key, job)) = state.jobs.pop_front() {
            state.places.push(key);
            // Before a job can hold up this thread, another must be at hand for the next.
            self.go_on(state, set, pool);
            let _ = contained(|| (self.run)(job));
            state = self.state.lock();
            if !state.ends(key) {
                return;
            }
            if set.is_starved() && !state.jobs.is_empty() {
                // This may be the only thread there is: the lane continues when it has done the other queued work.
                let task = self.ask(&mut state, set, pool);
                drop(state);
                return set.postpone(task);
            }
        }
    }
}

impl<J> LaneState<J> {
    /// Returns whether the job still had a place.
    fn ends(&mut self, key: usize) -> bool {
        let place = self.places.iter().position(|other| *other == key);
        place.map(|place| self.places.swap_remove(place)).is_some()
    }
}

/// How many threads of a pool do work without a waiter.
pub(super) const WIDTH: usize = 4;
