//! The set of workers that all pools of a process share.

use crate::sync::{OnceLock, PerProcess};
use crate::workers::set::WorkerSet;
use std::time::Duration;

impl WorkerSet {
    /// The set of this process. A child of `fork` has none of its parent's threads, and gets a set of its own.
    pub(crate) fn of_this_process() -> Self {
        Sets::of_this_process().workers.clone()
    }

    /// As [`of_this_process`](Self::of_this_process), for the closures of tasks, which may take as long as they like.
    pub(crate) fn of_closures() -> Self {
        Sets::of_this_process().closures.clone()
    }
}

/// The state shared by all pools of a process.
struct Sets {
    workers: WorkerSet,
    closures: WorkerSet,
}

impl Sets {
    fn of_this_process() -> &'static Self {
        static SETS: OnceLock<PerProcess<Sets>> = OnceLock::new();
        PerProcess::present(&SETS, || Self { workers: WorkerSet::new(REST), closures: WorkerSet::new(REST) })
    }
}

/// How long a worker stays without work.
const REST: Duration = Duration::from_secs(10);
