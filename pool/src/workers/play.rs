//! For the models, whose own threads play the workers and the timer of a set.

use crate::sync;
use crate::workers::Workers;
use crate::workers::seat::Seat;
use crate::workers::set::{Set, SetState};
use std::sync::Arc;
use std::time::Instant;

/// The next step of a player: a job, or the action of an alarm.
pub(crate) struct Part(Box<dyn FnOnce() + Send>);

impl<J: Send + 'static> Workers<J> {
    /// Waits for a job. `None`: all pools are closed, and nothing is queued.
    pub(crate) fn take(&self) -> Option<Part> {
        self.next(|set, state| set.begin_job(state))
    }

    /// Takes a job, if there is one.
    pub(crate) fn take_now(&self) -> Option<Part> {
        self.set.begin_job(&mut self.set.state.lock())
    }

    /// Lets time pass until the first alarm. `None`: all pools are closed, and no alarm is left.
    #[allow(dead_code, reason = "for models of alarms alone")]
    pub(crate) fn ring(&self) -> Option<Part> {
        self.next(|_, state| state.let_time_pass())
    }

    /// As [`take`](Self::take), but lets time pass until the first alarm when there is no job.
    pub(crate) fn take_or_ring(&self) -> Option<Part> {
        self.next(|set, state| set.begin_job(state).or_else(|| state.let_time_pass()))
    }

    /// Plays one worker's life: rests until it is called, and ends when all pools are closed.
    #[allow(dead_code, reason = "for models of the threads themselves")]
    pub(crate) fn play_worker(&self) {
        let mut state = self.set.state.lock();
        let seat = Arc::new(Seat::new(state.new_thread(), None));
        if let Some(order) = self.set.rest(&seat, state) {
            seat.call(order);
        }
        self.set.work(&seat);
    }

    /// Lets time pass until the first alarm, if there is one.
    pub(crate) fn ring_now(&self) -> Option<Part> {
        self.set.state.lock().let_time_pass()
    }

    /// When the next alarm rings.
    pub(crate) fn next_alarm(&self) -> Option<Instant> {
        self.set.state.lock().alarms.first_key_value().map(|(alarm, _)| alarm.0)
    }

    fn next(&self, look: fn(&Arc<Set>, &mut SetState) -> Option<Part>) -> Option<Part> {
        let mut state = self.set.state.lock();
        loop {
            let part = look(&self.set, &mut state);
            if part.is_some() || state.open == 0 {
                return part;
            }
            state = self.set.stage.wait(state, None);
        }
    }
}

impl Part {
    pub(crate) fn play(self) {
        self.0();
    }
}

impl Set {
    fn begin_job(self: &Arc<Self>, state: &mut SetState) -> Option<Part> {
        let (task, set) = (state.next_job()?, Arc::clone(self));
        Some(Part(Box::new(move || {
            let pool = task.pool;
            task.run();
            set.state.lock().job_ended(pool);
            set.ended.notify_all();
        })))
    }
}

impl SetState {
    fn let_time_pass(&mut self) -> Option<Part> {
        let (alarm, ring) = self.ring(None)?;
        sync::advance(alarm.0.saturating_duration_since(sync::now()));
        Some(Part(ring))
    }
}
