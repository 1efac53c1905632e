//! For tests: a set that is short of threads, or busy.

use crate::sync::Ordering;
use crate::workers::seat::Order;
use crate::workers::set::WorkerSet;
use crate::workers::timetable::Timer;

impl WorkerSet {
    /// From now on no thread can be had, or threads can be had again.
    pub(crate) fn fill(&self, is_full: bool) {
        self.0.is_full.store(is_full, Ordering::SeqCst);
    }

    /// How many jobs have no thread.
    pub(crate) fn queued(&self) -> usize {
        self.0.state.lock().jobs.len()
    }

    /// Sends all workers home once they rest, as time does.
    pub(crate) fn dismiss_workers(&self) {
        loop {
            let mut state = self.0.state.lock();
            let workers = state.threads.len() - usize::from(state.timer != Timer::Absent);
            if state.resting.len() == workers {
                let resting = std::mem::take(&mut state.resting);
                drop(state);
                return resting.into_iter().for_each(|seat| seat.call(Order::Leave));
            }
            drop(state);
            std::thread::yield_now();
        }
    }

    /// Does something while nobody else gets at the set.
    pub(crate) fn while_locked(&self, work: impl FnOnce()) {
        let _state = self.0.state.lock();
        work();
    }
}
