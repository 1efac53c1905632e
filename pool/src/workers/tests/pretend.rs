//! Lets tests make a set short of threads, or busy.

use crate::sync::Ordering;
use crate::workers::seat::Order;
use crate::workers::set::WorkerSet;
use crate::workers::timetable::Timer;

impl WorkerSet {
    /// `true`: no thread can be created from now on. `false`: threads can be created again.
    pub(crate) fn fill(&self, is_full: bool) {
        self.0.is_full.store(is_full, Ordering::SeqCst);
    }

    /// The number of jobs without a thread.
    pub(crate) fn queued(&self) -> usize {
        self.0.state.lock().jobs.len()
    }

    /// Ends all workers as soon as they rest, like a long time without work does.
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

    /// Does some work while no other thread can access the set.
    pub(crate) fn while_locked(&self, work: impl FnOnce()) {
        let _state = self.0.state.lock();
        work();
    }
}
