//! The kernel's data on a process's threads: whether they run, and their processor time.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Whether all of them have been stopped by a signal.
pub(crate) fn is_stopped(process: u32) -> bool {
    let stopped = |thread: PathBuf| {
        let text = fs::read_to_string(thread.join("stat")).unwrap_or_default();
        // The name before it may contain spaces and brackets.
        text.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
    };
    threads(process).is_ok_and(|threads| threads.into_iter().all(stopped))
}

/// How long each thread of a process had run at one moment.
#[derive(Debug)]
pub struct ThreadTimes(HashMap<PathBuf, Duration>);

impl ThreadTimes {
    /// Reads them for the threads whose name is wanted.
    pub(crate) fn read(process: u32, is_wanted: impl Fn(&str) -> bool) -> Result<Self> {
        let mut times = HashMap::new();
        for thread in threads(process)? {
            // A thread that ends meanwhile has neither file.
            let Ok(name) = fs::read_to_string(thread.join("comm")) else { continue };
            if !is_wanted(name.trim()) {
                continue;
            }
            let text = match fs::read_to_string(thread.join("schedstat")) {
                Err(_) if !thread.exists() => continue,
                text => text.context("this kernel does not report thread run times")?,
            };
            let nanoseconds = text.split(' ').next().unwrap_or_default().parse()?;
            times.insert(thread, Duration::from_nanos(nanoseconds));
        }
        Ok(Self(times))
    }

    /// Whether no thread had a wanted name.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The processor time that these threads have had since the earlier reading. A worker may end in between, after ten idle seconds:
    /// it is not in the sum, and takes nothing from it.
    pub fn since(&self, earlier: &Self) -> Duration {
        let before = |thread| earlier.0.get(thread).copied().unwrap_or_default();
        self.0.iter().map(|(thread, time)| time.saturating_sub(before(thread))).sum()
    }
}

fn threads(process: u32) -> Result<Vec<PathBuf>> {
    let folder = format!("/proc/{process}/task");
    let threads = fs::read_dir(&folder).with_context(|| format!("{folder} cannot be read"))?;
    Ok(threads.filter_map(|thread| Some(thread.ok()?.path())).collect())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use cabrank_testing::eventually;
    use std::sync::mpsc::{Sender, channel};
    use std::thread;
    use std::thread::JoinHandle;

    /// A thread that has used processor time, and ends when it is asked to.
    fn worker() -> (Sender<()>, JoinHandle<()>) {
        let (end, ended) = channel::<()>();
        let (ready, is_ready) = channel();
        let work = move || {
            let worked = (0..5_000_000_u64).fold(0, |sum, next| std::hint::black_box(sum ^ next));
            ready.send(worked).expect("the test waits for it");
            let _ = ended.recv();
        };
        let thread = thread::Builder::new().name("cpu-test".into()).spawn(work).expect("a thread");
        is_ready.recv().expect("its work");
        (end, thread)
    }

    fn read() -> ThreadTimes {
        ThreadTimes::read(std::process::id(), |name| name == "cpu-test").expect("this kernel's word")
    }

    #[test]
    fn a_thread_that_ends_takes_no_time_from_the_others() {
        let (end, thread) = worker();
        let before = read();
        drop(end);
        thread.join().expect("its end");
        eventually("the kernel has forgotten it", || read().0.is_empty());
        let (_end, _thread) = worker();
        let after = read();
        let alone = after.0.values().sum::<Duration>();
        assert_ne!(alone, Duration::ZERO);
        assert_eq!(after.since(&before), alone);
        assert_eq!(before.since(&before), Duration::ZERO);
    }
}
