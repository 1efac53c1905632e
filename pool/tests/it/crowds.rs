//! Tasks and threads by the hundred thousand: futures are dropped at any time, nothing is lost, and the numbers add up at every moment.

use crate::polling::{Flag, poll};
use crate::support::{Pool, builder, hold, ms};
use cabrank::Stats;
use cabrank_testing::fake::FakeServer;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

/// Per thread, of four threads with tasks.
const CANCELLATIONS: u64 = 25_000;
const MAX_SIZE: u32 = 3;

fn small_pool(server: &FakeServer) -> Pool {
    server.allow(MAX_SIZE as usize);
    let settings = builder().max_size(MAX_SIZE).check_after(Duration::MAX).reclaim_after(ms(1));
    let pool = settings.build(server.manager()).unwrap();
    drop(hold(&pool, MAX_SIZE));
    pool
}

/// Creates futures, polls them occasionally, and drops them, until enough were dropped while waiting. Returns how many were served.
fn drops_futures(pool: &Pool, seed: u64, is_enough: impl Fn(u64) -> bool) -> u64 {
    let (flag, mut random) = (Arc::new(Flag::default()), fastrand::Rng::with_seed(seed));
    let (mut held, mut served, mut cancelled) = (Vec::new(), 0, 0);
    while !is_enough(cancelled) {
        let mut future = pool.get_async();
        let mut waits = false;
        for _ in 0..random.u32(1..4) {
            match poll(&mut future, &flag) {
                Poll::Ready(conn) => {
                    held.push(conn.unwrap());
                    (waits, served) = (false, served + 1);
                    break;
                }
                Poll::Pending => waits = true,
            }
            match random.u32(0..4) {
                0 => drop(held.pop()),
                1 => thread::yield_now(),
                _ => {}
            }
        }
        // Its delivery may have come, or been reclaimed, meanwhile.
        drop(future);
        cancelled += u64::from(waits);
        if held.len() > 1 || random.bool() {
            held.pop();
        }
    }
    served
}

/// Borrows as threads do, often several times in a row without the lock, until stopped. Returns the number of loans.
fn borrows(pool: &Pool, seed: u64, is_over: &AtomicBool) -> u64 {
    let (mut random, mut loans) = (fastrand::Rng::with_seed(seed), 0);
    while !is_over.load(Relaxed) {
        for _ in 0..random.u32(1..50) {
            let conn = pool.get().unwrap();
            if random.u32(0..20) == 0 {
                thread::yield_now();
            }
            drop(conn);
            loans += 1;
        }
    }
    loans
}

#[test]
fn a_hundred_thousand_cancellations_beside_threads_lose_nothing() {
    let server = FakeServer::new();
    let pool = small_pool(&server);
    // In between, threads have the pool to themselves: their loans bypass the lock, and the next future recalls the connections.
    let (rounds, mut served) = (20, u64::from(MAX_SIZE));
    for round in 0..rounds {
        let is_over = AtomicBool::new(false);
        served += thread::scope(|scope| {
            let (pool, is_over) = (&pool, &is_over);
            let threads = [0, 1].map(|seed| scope.spawn(move || borrows(pool, round * 10 + seed, is_over)));
            let tasks = [2, 3, 4, 5].map(|seed| {
                let is_enough = move |cancelled| cancelled == CANCELLATIONS / rounds;
                scope.spawn(move || drops_futures(pool, round * 10 + seed, is_enough))
            });
            let by_tasks: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
            let before = pool.stats().returned;
            while pool.stats().returned < before + 1_000 {
                thread::yield_now();
            }
            is_over.store(true, Relaxed);
            by_tasks + threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>()
        });
        let stats = pool.stats();
        assert_eq!((stats.idle, stats.in_use, stats.waiting), (MAX_SIZE, 0, 0), "after round {round}: {stats:?}");
        assert_eq!((loans(&stats), stats.returned), (served, served), "after round {round}: {stats:?}");
    }
    let stats = pool.stats();
    assert_eq!((stats.cancelled, stats.timed_out), (4 * CANCELLATIONS, 0), "{stats:?}");
    // Many were dropped with a delivery, or after it was reclaimed.
    assert!(stats.rejected_at_checkout > 100, "{stats:?}");
    assert_eq!((stats.opened, stats.closed.total()), (u64::from(MAX_SIZE), 0));
    server.assert_no_leaks(&pool);
}

/// Ends the other threads' loans, even if a check panics.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Loans that have begun.
fn loans(stats: &Stats) -> u64 {
    stats.checked_out_at_once + stats.checked_out_after_waiting - stats.rejected_at_checkout
}

#[test]
fn what_a_pool_says_of_itself_adds_up_while_tasks_and_threads_borrow() {
    let server = FakeServer::new();
    let pool = small_pool(&server);
    let (is_over, served, timed_out) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let counters = |stats: &Stats| {
        [
            stats.checked_out_at_once,
            stats.checked_out_after_waiting,
            stats.rejected_at_checkout,
            stats.returned,
            stats.cancelled,
            stats.timed_out,
            stats.wait_time.count(),
        ]
    };
    let looks = thread::scope(|scope| {
        let (pool, is_over, served, timed_out) = (&pool, &is_over, &served, &timed_out);
        scope.spawn(move || served.fetch_add(borrows(pool, 1, is_over), Relaxed));
        scope.spawn(move || served.fetch_add(drops_futures(pool, 2, |_| is_over.load(Relaxed)), Relaxed));
        for _ in 0..2 {
            scope.spawn(move || {
                while !is_over.load(Relaxed) {
                    // Some time out.
                    match pollster::block_on(pool.get_async_timeout(Duration::from_micros(200))) {
                        Ok(_) => served.fetch_add(1, Relaxed),
                        Err(error) if error.is_timeout() => timed_out.fetch_add(1, Relaxed),
                        Err(error) => panic!("{error:?}"),
                    };
                }
            });
        }
        scope.spawn(move || {
            while !is_over.load(Relaxed) {
                pollster::block_on(pool.run_async(|conn| conn.query())).unwrap();
                served.fetch_add(1, Relaxed);
            }
        });
        let _ends = Ends(is_over);
        let (begun, mut looks, mut before) = (Instant::now(), 0, pool.stats());
        while begun.elapsed() < ms(1_000) || looks < 1_000 {
            let stats = pool.stats();
            assert_eq!(loans(&stats), stats.returned + u64::from(stats.in_use), "{stats:?}");
            assert_eq!(stats.open, stats.idle + stats.in_use + stats.checking + stats.resetting, "{stats:?}");
            assert_eq!((stats.open, stats.max_size), (MAX_SIZE, MAX_SIZE), "{stats:?}");
            assert!(counters(&before).iter().zip(counters(&stats)).all(|(before, now)| *before <= now), "{stats:?}");
            let holders = pool.holders();
            let distinct: BTreeSet<u64> = holders.iter().map(|holder| holder.id).collect();
            assert!(distinct.len() == holders.len() && holders.len() <= MAX_SIZE as usize, "{holders:?}");
            (before, looks) = (stats, looks + 1);
        }
        looks
    });
    let stats = pool.stats();
    let (served, timed_out) = (served.into_inner() + u64::from(MAX_SIZE), timed_out.into_inner());
    assert_eq!((loans(&stats), stats.returned, stats.timed_out), (served, served, timed_out), "after {looks} looks");
    assert_eq!((stats.in_use, stats.waiting, stats.idle), (0, 0, MAX_SIZE));
    // A task that is served late is counted when it is polled.
    assert_eq!(stats.wait_time.count(), served + timed_out);
    server.assert_no_leaks(&pool);
}
