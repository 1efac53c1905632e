//! What the kernel says of a process's threads: whether they run, and for how long they have.

use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Whether all of them have been stopped by a signal.
pub(crate) fn is_stopped(process: u32) -> bool {
    let stopped = |thread: PathBuf| {
        let text = fs::read_to_string(thread.join("stat")).unwrap_or_default();
        // The name before it may have spaces and brackets of its own.
        text.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
    };
    threads(process).is_ok_and(|threads| threads.into_iter().all(stopped))
}

/// How long those of them have run whose name is wanted, all in all. Those that have ended do not count.
pub(crate) fn of_threads(process: u32, is_wanted: impl Fn(&str) -> bool) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for thread in threads(process)? {
        // One that ends meanwhile is none.
        let Ok(name) = fs::read_to_string(thread.join("comm")) else { continue };
        if is_wanted(name.trim()) {
            let text = fs::read_to_string(thread.join("schedstat"))
                .context("this kernel does not say how long a thread has run")?;
            let nanoseconds = text.split(' ').next().unwrap_or_default().parse()?;
            sum += Duration::from_nanos(nanoseconds);
        }
    }
    Ok(sum)
}

fn threads(process: u32) -> Result<Vec<PathBuf>> {
    let folder = format!("/proc/{process}/task");
    let threads = fs::read_dir(&folder).with_context(|| format!("{folder} cannot be read"))?;
    Ok(threads.filter_map(|thread| Some(thread.ok()?.path())).collect())
}
