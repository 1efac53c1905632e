//! The set of workers that all pools of a process share.

use crate::sync::{OnceLock, Process};
use crate::workers::set::WorkerSet;
use std::time::Duration;

impl WorkerSet {
    /// The set of this process. A child of `fork` has none of its parent's threads, and gets a set of its own. No lock is taken on the
    /// way, for a thread that the child does not have may have held it.
    pub(crate) fn of_this_process() -> Self {
        Generation::present().set.clone()
    }

    /// As [`of_this_process`](Self::of_this_process), for what tasks have run: it may take as long as it likes.
    pub(crate) fn of_closures() -> Self {
        Generation::present().closures.clone()
    }
}

impl Generation {
    fn present() -> &'static Self {
        static FIRST: OnceLock<Generation> = OnceLock::new();
        let mut generation = FIRST.get_or_init(Generation::new);
        while !generation.process.is_current() {
            generation = generation.child.get_or_init(|| Box::new(Generation::new()));
        }
        generation
    }
}

/// A process, as far as it has pools, and a child that was forked off it.
struct Generation {
    process: Process,
    set: WorkerSet,
    closures: WorkerSet,
    child: OnceLock<Box<Self>>,
}

impl Generation {
    fn new() -> Self {
        Self {
            process: Process::current(),
            set: WorkerSet::new(REST),
            closures: WorkerSet::new(REST),
            child: OnceLock::new(),
        }
    }
}

/// A worker stays for so long without work.
const REST: Duration = Duration::from_secs(10);
