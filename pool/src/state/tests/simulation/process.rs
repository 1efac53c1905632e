//! The process that the pool lives in, as time passes for it: how late its threads get to what is due, and when all of it
//! stands still.

use std::time::{Duration, Instant};

/// How long a thread takes to get going after what it waited for.
#[derive(Debug, Clone, Copy)]
pub(super) enum WakeUp {
    /// Anything up to this.
    UpTo(Duration),
    /// This long in the mean, and now and then much longer.
    Exponential(Duration),
}

pub(super) struct Process {
    pub(super) wake_up: WakeUp,
    /// When it stands still. In order, and apart.
    pub(super) stalls: Vec<(Instant, Instant)>,
}

impl Process {
    /// When the process gets to what is due at `due`. What falls into a stall is found soon after its end, in random order.
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

/// How long the threads of a process take to get going, all at once.
const THAW: Duration = Duration::from_millis(1);
