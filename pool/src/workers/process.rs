//! The set of workers that all pools of a process share.

use crate::sync::{OnceLock, PerProcess};
use crate::workers::set::WorkerSet;
use std::time::Duration;

impl WorkerSet {
    /// The set of this process. A child of `fork` has none of its parent's threads, and gets a set of its own.
    pub(crate) fn of_this_process() -> Self {
        Sets::of_this_process().workers.clone()
    }

    /// As [`of_this_process`](Self::of_this_process), for what tasks have run: it may take as long as it likes.
    pub(crate) fn of_closures() -> Self {
        Sets::of_this_process().closures.clone()
    }
}

/// What the pools of a process share.
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

/// A worker stays for so long without work.
const REST: Duration = Duration::from_secs(10);
