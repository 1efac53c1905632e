//! The process around the pool: the delay of its threads, and the stalls of the whole process.

use std::time::{Duration, Instant};

/// How long a thread takes to run after the event it waited for.
#[derive(Debug, Clone, Copy)]
pub(super) enum WakeUp {
    /// Uniform, up to this.
    UpTo(Duration),
    /// This long on average, and occasionally much longer.
    Exponential(Duration),
}

pub(super) struct Process {
    pub(super) wake_up: WakeUp,
    /// Its stalls, in order and not overlapping.
    pub(super) stalls: Vec<(Instant, Instant)>,
}

impl Process {
    /// The time when the process handles an event due at `due`. Events that fall into a stall are handled soon after its end, in random
    /// order.
    pub(super) fn reaches(&self, due: Instant, random: &mut fastrand::Rng) -> Instant {
        let late = match self.wake_up {
            WakeUp::UpTo(most) => most.mul_f64(random.f64()),
            WakeUp::Exponential(mean) => mean.mul_f64(-(1.0 - random.f64()).ln()),
        };
        let at = due + late;
        let next = self.stalls.partition_point(|&(_, ends)| ends <= at);
        match self.stalls.get(next) {
            Some(&(begins, ends)) if begins <= at => ends + THAW.mul_f64(random.f64()),
            _ => at,
        }
    }
}

/// How long the threads of a process take to run again after a stall.
const THAW: Duration = Duration::from_millis(1);
