//! Tests that need a process of their own, in which they run one after the other, because they count its threads and descriptors.
#![cfg(target_os = "linux")]

use cabrank_testing::eventually;
use std::sync::{Barrier, Mutex, MutexGuard};
use std::time::Duration;

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(|poison| poison.into_inner());
    // Workers of the last test's pools may still be closing connections.
    eventually("no thread of an earlier test is left", || threads() == 0);
    alone
}

/// A driver whose connections are real descriptors.
struct Files;

impl cabrank::Manager for Files {
    type Connection = std::fs::File;
    type Error = std::io::Error;

    fn connect(&self, _: &cabrank::Limit) -> Result<std::fs::File, std::io::Error> {
        std::fs::File::open("/dev/zero")
    }
    fn is_valid(&self, file: &mut std::fs::File, _: &cabrank::Limit) -> Result<(), std::io::Error> {
        std::io::Read::read_exact(file, &mut [0; 1])
    }
    fn has_broken(&self, _: &mut std::fs::File) -> bool {
        false
    }
}

/// A driver whose connections cost nothing, so there can be many.
struct Nothing;

impl cabrank::Manager for Nothing {
    type Connection = ();
    type Error = std::io::Error;

    fn connect(&self, _: &cabrank::Limit) -> Result<(), std::io::Error> {
        Ok(())
    }
    fn is_valid(&self, (): &mut (), _: &cabrank::Limit) -> Result<(), std::io::Error> {
        Ok(())
    }
    fn has_broken(&self, (): &mut ()) -> bool {
        false
    }
}

/// The number of cabrank's threads: workers and the timer. The harness starts threads of its own at any time.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    // A thread may end during the look.
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|comm| ["cabrank-worker", "cabrank-timer"].contains(&comm.trim_end())).count()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_hundred_pools_leave_no_thread_and_no_descriptor() {
    let _alone = alone();
    let before = descriptors();
    let (mut most_threads, mut most_descriptors) = (0, before);
    for round in 0..100 {
        let settings = cabrank::Pool::builder().max_size(4).min_idle(2).check_after(Duration::ZERO);
        let pool = settings.build(Files).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5).for_each(|_| drop(pool.get().unwrap())));
            }
        });
        most_threads = most_threads.max(threads());
        most_descriptors = most_descriptors.max(descriptors());
        match round % 4 {
            0 => {
                let report = pool.close_within(Duration::from_secs(10));
                assert!(report.is_clean(), "{report}");
                // It was the only pool. Its threads are joined; the kernel takes a moment to remove them from its list.
                eventually("the threads are gone", || threads() == 0);
            }
            1 => pool.close(),
            2 => drop(pool),
            _ => {
                let late = pool.get().unwrap();
                drop(pool);
                drop(late);
            }
        }
    }
    assert!(most_threads > 0 && most_descriptors > before, "there was something to leave behind");
    eventually("all threads and descriptors are gone", || threads() == 0 && descriptors() == before);
}

#[test]
fn a_pool_at_rest_has_at_most_one_thread() {
    let _alone = alone();
    let pool = cabrank::Pool::builder().max_size(4).build(Files).unwrap();
    drop((0..4).map(|_| pool.get().unwrap()).collect::<Vec<_>>());
    assert!(threads() > 0);
    eventually("the workers have retired", || threads() <= 1);
    assert_eq!(pool.stats().idle, 4);
    drop(pool);
    eventually("all threads are gone", || threads() == 0);
}

#[test]
fn a_thousand_pools_share_a_few_threads() {
    let _alone = alone();
    let mut most = 0;
    let pools: Vec<_> = (0..1_000)
        .map(|_| {
            let pool = cabrank::Pool::builder().build(Nothing).unwrap();
            drop(pool.get().unwrap());
            most = most.max(threads());
            pool
        })
        .collect();
    assert!(most <= 32, "{most} threads while they were built one after the other");
    eventually("they are at rest", || threads() <= 2);
    assert!(pools.iter().all(|pool| pool.stats().idle == 1));
    drop(pools);
    eventually("all threads are gone", || threads() == 0);
}

#[test]
fn dropping_a_pool_of_a_thousand_idle_connections_takes_no_time_and_few_threads() {
    let _alone = alone();
    // The bound is for a release build. A debug build, with its assertions, takes six milliseconds on a quiet machine.
    let bound = Duration::from_millis(if cfg!(debug_assertions) { 25 } else { 1 });
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let pool = cabrank::Pool::builder().max_size(1_000).build(Nothing).unwrap();
        drop((0..1_000).map(|_| pool.get().unwrap()).collect::<Vec<_>>());
        // The workers that opened the connections rest, and some of them say goodbye.
        let before = threads();
        let ((), took) = cabrank_testing::timed(|| drop(pool));
        fastest = fastest.min(took);
        assert!(threads() <= before + 4, "four say goodbye at most, beside {before}");
        eventually("all threads are gone", || threads() == 0);
    }
    assert!(fastest < bound, "{fastest:?}");
}

/// The counts of loans outside the lock are added up under the lock, which must not delay anybody.
#[test]
fn the_numbers_of_a_thousand_connections_are_read_in_five_microseconds() {
    let _alone = alone();
    // The bound is for a release build.
    let bound = Duration::from_micros(if cfg!(debug_assertions) { 200 } else { 5 });
    let pool = cabrank::Pool::builder().max_size(1_000).build(Nothing).unwrap();
    drop((0..1_000).map(|_| pool.get().unwrap()).collect::<Vec<_>>());
    // Loans of every length up to some milliseconds, by more threads than may have a meter; then each holds one.
    let (are_ready, may_end) = (Barrier::new(33), Barrier::new(33));
    let took = std::thread::scope(|scope| {
        for thread in 0..32_u32 {
            let (pool, are_ready, may_end) = (&pool, &are_ready, &may_end);
            scope.spawn(move || {
                for power in 0..13 {
                    (0..50).for_each(|_| drop(pool.get().unwrap()));
                    let held = pool.get().unwrap();
                    std::thread::park_timeout(Duration::from_micros(1 << ((power + thread) % 13)));
                    drop(held);
                }
                (0..50).for_each(|_| drop(pool.get().unwrap()));
                let held = pool.get().unwrap();
                are_ready.wait();
                may_end.wait();
                drop(held);
            });
        }
        are_ready.wait();
        assert_eq!((pool.stats().open, pool.stats().in_use), (1_000, 32));
        let mut took: Vec<_> = (0..1_001).map(|_| cabrank_testing::timed(|| pool.stats()).1).collect();
        took.sort_unstable();
        may_end.wait();
        took
    });
    println!("median {:?}, least {:?}", took[500], took[0]);
    // Other users of the machine make some calls longer, and none shorter.
    assert!(took[500] < bound, "{:?}", took[500]);
}

#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_waiters_that_time_out_together_cost_little() {
    let _alone = alone();
    // Other users of the machine make each switch of threads more expensive, so the cheapest of three counts.
    assert!((0..3).any(|_| cost_of_ten_thousand_that_time_out() < Duration::from_secs(6)));
}

/// In processor time, including the creation of the threads.
#[cfg(target_os = "linux")]
fn cost_of_ten_thousand_that_time_out() -> Duration {
    use std::time::Instant;
    let pool = cabrank::Pool::builder().max_size(1).build(Files).unwrap();
    let held = pool.get().unwrap();
    let deadline = Instant::now() + Duration::from_secs(3);
    let before = processor_time();
    std::thread::scope(|scope| {
        for _ in 0..10_000 {
            let small = std::thread::Builder::new().stack_size(128 * 1024);
            let wait = || pool.get_timeout(deadline.saturating_duration_since(Instant::now())).unwrap_err();
            small.spawn_scoped(scope, wait).unwrap();
        }
    });
    let (late, cost) = (deadline.elapsed(), processor_time() - before);
    println!("the last {late:?} after the deadline; {cost:?} of processor time, the threads' own included");
    assert_eq!(pool.stats().timed_out, 10_000);
    drop(held);
    cost
}

/// The processor time that this process has used so far.
#[cfg(target_os = "linux")]
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    Duration::from_millis(10 * ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>())
}
