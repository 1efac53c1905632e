//! The heap bytes and the threads of a pool at rest. Each pool is measured in its own process; they run at the same time, because they
//! only wait.

use crate::load::{Load, Pace, Work};
use crate::measure::{Bench, Point};
use crate::pools::{Setup, Stub, Target};
use crate::tasks::runtime;
use crate::{heap, pools};
use anyhow::{Context, Result, bail};
use std::process::Command;
use std::time::Duration;
use std::{env, fs, thread};

pub fn run(bench: &mut Bench) -> Result<()> {
    let program = env::current_exe()?;
    let probes: Vec<_> = SIZES.iter().flat_map(|size| POOLS.iter().map(move |pool| (*pool, *size))).collect();
    let ask =
        |(pool, size): (&str, u32)| Command::new(&program).args(["--probe-memory", pool, &size.to_string()]).output();
    let answers: Vec<_> = thread::scope(|scope| {
        let asked: Vec<_> = probes.iter().map(|probe| scope.spawn(|| ask(*probe))).collect();
        asked.into_iter().map(|answer| answer.join().expect("it does not panic")).collect()
    });
    for ((pool, size), output) in probes.into_iter().zip(answers) {
        let output = output?;
        if !output.status.success() {
            bail!("{pool}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8(output.stdout)?;
        let (bytes, threads) = text.trim().split_once(' ').context("the probe's answer is incomplete")?;
        let point = Point { case: "memory", threads: 0, size };
        bench.row(point, pool, "heap_bytes", vec![bytes.parse()?]);
        bench.row(point, pool, "threads", vec![threads.parse()?]);
    }
    bench.miss("memory", "hikaricp", "the heap of a JVM cannot be compared");
    Ok(())
}

/// Runs in that process; prints bytes and threads.
pub fn probe(pool: &str, size: u32) -> Result<()> {
    // Started before counting, because the runtime belongs to the user and not to the pool.
    runtime().block_on(async {});
    let threads = count_threads()?;
    heap::count();
    let setup = Setup { min_idle: Some(size), ..Setup::new(Target::Stub(Stub::default()), size) };
    let peer = pools::build(pool, &setup)?;
    // For pools that open connections only on demand.
    let work = Work::Sleep(Duration::from_millis(100));
    peer.run(&Load { borrowers: size as usize, work, pace: Pace::Loans(1) })?;
    thread::sleep(REST);
    println!("{} {}", heap::in_use().max(0), count_threads()?.saturating_sub(threads));
    Ok(())
}

fn count_threads() -> Result<usize> {
    Ok(fs::read_dir("/proc/self/task").context("this system does not list threads")?.count())
}

const POOLS: &[&str] = &["cabrank", "r2d2", "deadpool", "bb8"];
const SIZES: &[u32] = &[10, 1000];
/// Workers without a job end after ten seconds.
const REST: Duration = Duration::from_secs(11);
