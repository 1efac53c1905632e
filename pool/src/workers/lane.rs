//! A pool's work that nobody waits for: it goes through a lane that uses a few threads at a time.

use crate::contain::contained;
use crate::sync::Mutex;
use crate::workers::set::{Set, Task};
use std::collections::VecDeque;
use std::sync::Arc;

pub(super) struct Lane<J> {
    run: fn(J),
    state: Mutex<LaneState<J>>,
}

struct LaneState<J> {
    jobs: VecDeque<J>,
    /// How many threads work for the lane, or were asked for.
    threads: usize,
}

impl<J: Send + 'static> Lane<J> {
    pub(super) fn new(run: fn(J)) -> Arc<Self> {
        Arc::new(Self { run, state: Mutex::new(LaneState { jobs: VecDeque::new(), threads: 0 }) })
    }

    /// Queues these jobs. Asks for one thread at most, which asks for the next.
    pub(super) fn enter(self: &Arc<Self>, set: &Arc<Set>, pool: usize, jobs: impl IntoIterator<Item = J>) {
        let mut state = self.state.lock();
        state.jobs.extend(jobs);
        let one_more = state.claims_a_thread();
        drop(state);
        if one_more {
            self.engage(set, pool);
        }
    }

    /// Takes the first job of this kind out of the lane.
    pub(super) fn pull(&self, is_wanted: impl Fn(&J) -> bool) -> Option<J> {
        let mut state = self.state.lock();
        let place = state.jobs.iter().position(is_wanted)?;
        state.jobs.remove(place)
    }

    /// Changes all jobs that are queued.
    pub(super) fn change(&self, change: impl FnMut(&mut J)) {
        self.state.lock().jobs.iter_mut().for_each(change);
    }

    fn engage(self: &Arc<Self>, set: &Arc<Set>, pool: usize) {
        let (lane, its_set) = (Arc::clone(self), Arc::clone(set));
        set.submit(Task::new(pool, move || lane.work_off(&its_set, pool)));
    }

    fn work_off(self: &Arc<Self>, set: &Arc<Set>, pool: usize) {
        loop {
            let mut state = self.state.lock();
            let Some(job) = state.jobs.pop_front() else {
                state.threads -= 1;
                return;
            };
            let one_more = state.claims_a_thread();
            drop(state);
            if one_more {
                // Before this thread is held up by a job, another must be at hand for the next.
                self.engage(set, pool);
            }
            let _ = contained(|| (self.run)(job));
        }
    }
}

impl<J> LaneState<J> {
    fn claims_a_thread(&mut self) -> bool {
        let claims = !self.jobs.is_empty() && self.threads < WIDTH;
        self.threads += usize::from(claims);
        claims
    }
}

/// So many threads of a pool do what nobody waits for.
const WIDTH: usize = 4;
