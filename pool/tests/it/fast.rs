//! Loans that bypass the lock, as users see them: all guarantees still hold.

use crate::support::{builder, hold, ms, pool_of};
use cabrank::CloseReason;
use cabrank_testing::eventually;
use cabrank_testing::fake::FakeServer;
use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

#[test]
fn an_eviction_reaches_what_a_thread_uses_over_and_over() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 4);
    for round in 1..=100 {
        for _ in 0..10 {
            let conn = pool.get().unwrap();
            assert!(cabrank::PooledConnection::id(&conn) >= round, "one of before the eviction");
        }
        pool.evict_all();
        assert_eq!(pool.stats().idle, 0);
    }
    eventually("all are closed", || pool.stats().closed.by(CloseReason::Evicted) == 100);
}

#[test]
fn a_waiter_gets_what_another_thread_uses_over_and_over() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                drop(pool.get().unwrap());
            }
        });
        for _ in 0..200 {
            // Longer than this pool's default time-out, which is short in case a test hangs.
            drop(pool.get_timeout(Duration::from_secs(20)).unwrap());
        }
        stop.store(true, Relaxed);
    });
}

#[test]
fn a_pool_shrinks_to_what_is_used_though_many_threads_use_it_now_and_then() {
    assert_shrinks(1);
}

#[test]
fn a_pool_shrinks_to_what_is_used_though_each_of_many_threads_uses_it_several_times_in_a_row() {
    assert_shrinks(3);
    assert_shrinks(50);
}

/// Eight threads borrow in turn, each `burst` times in a row, with a millisecond between: at most two connections stay open.
fn assert_shrinks(burst: u32) {
    let server = FakeServer::new();
    let pool = builder().max_size(10).idle_timeout(ms(100)).build_lazy(server.manager()).unwrap();
    drop(hold(&pool, 10));
    assert_eq!(pool.stats().open, 10);
    let (barrier, turn) = (&Barrier::new(8), &AtomicU64::new(0));
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let pool = &pool;
            scope.spawn(move || {
                barrier.wait();
                while begin.elapsed() < ms(600) {
                    let is_mine = turn.load(Relaxed) % 8 == thread;
                    if is_mine {
                        (0..burst).for_each(|_| drop(pool.get().unwrap()));
                    }
                    std::thread::park_timeout(ms(1));
                    if is_mine {
                        turn.fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    let open = pool.stats().open;
    assert!(open <= 2, "{open} are open after bursts of {burst}");
}

#[test]
fn what_a_pool_says_of_itself_adds_up_at_each_moment_while_threads_borrow_beside_the_lock() {
    let server = FakeServer::new();
    let pool = builder()
        .max_size(8)
        .idle_timeout(ms(30))
        .check_after(ms(50))
        .leak_after(ms(400))
        .build_lazy(server.manager())
        .unwrap();
    let (stop, loans) = (AtomicBool::new(false), AtomicU64::new(0));
    let long = pool.get().unwrap();
    let long_id = cabrank::PooledConnection::id(&long);
    // The current loan outside the lock, and its connection; zero between loans.
    let held = AtomicU64::new(0);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (pool, stop, loans) = (&pool, &stop, &loans);
            scope.spawn(move || {
                let timeout = if thread == 0 { Duration::from_micros(1) } else { Duration::from_secs(20) };
                while !stop.load(Relaxed) {
                    if let Ok(conn) = pool.get_timeout(timeout) {
                        loans.fetch_add(1, Relaxed);
                        drop(conn);
                    }
                }
            });
        }
        scope.spawn(|| {
            for number in 1_u64.. {
                if stop.load(Relaxed) {
                    break;
                }
                // The last of them is outside the lock, unless an event concerns all loans just now.
                (0..20).for_each(|_| drop(pool.get().unwrap()));
                let conn = pool.get().unwrap();
                loans.fetch_add(21, Relaxed);
                held.store((number << 32) | cabrank::PooledConnection::id(&conn), SeqCst);
                std::thread::park_timeout(Duration::from_micros(300));
                held.store(0, SeqCst);
                drop(conn);
            }
        });
        let changer = scope.spawn(|| {
            for round in 0.. {
                if stop.load(Relaxed) {
                    break;
                }
                match round % 3 {
                    0 => pool.set_max_size(4 + round % 5).unwrap(),
                    1 => pool.set_min_idle(round % 4).unwrap(),
                    _ => pool.evict_all(),
                }
                std::thread::park_timeout(ms(7));
            }
        });
        let mut before = pool.stats();
        let (mut looks, mut lasting) = (0, 0);
        while begin.elapsed() < ms(1_500) {
            let stats = pool.stats();
            let begun = stats.checked_out_at_once + stats.checked_out_after_waiting - stats.rejected_at_checkout;
            assert_eq!(begun, stats.returned + u64::from(stats.in_use), "{stats:?}");
            assert!(stats.use_time.count() >= stats.returned, "{stats:?}");
            let counters = |stats: &cabrank::Stats| {
                [
                    stats.checked_out_at_once,
                    stats.checked_out_after_waiting,
                    stats.returned,
                    stats.resets_skipped,
                    stats.use_time.count(),
                    stats.timed_out,
                    stats.opened,
                ]
            };
            assert!(counters(&before).iter().zip(counters(&stats)).all(|(before, now)| *before <= now), "{stats:?}");
            let before_look = held.load(SeqCst);
            let holders: BTreeMap<u64, Duration> =
                pool.holders().iter().map(|holder| (holder.id, holder.held_for)).collect();
            if before_look != 0 && held.load(SeqCst) == before_look {
                assert!(holders.contains_key(&(before_look & u64::from(u32::MAX))), "a loan that lasts is missing");
                lasting += 1;
            }
            assert!(holders.contains_key(&long_id), "a loan that lasts is missing");
            assert!(holders[&long_id] >= begin.elapsed() / 2 || begin.elapsed() < ms(50));
            before = stats;
            looks += 1;
        }
        assert!(looks > 100 && lasting > 10, "{looks} looks, {lasting} at a loan that lasted meanwhile");
        stop.store(true, Relaxed);
        changer.join().unwrap();
    });
    drop(long);
    let stats = pool.stats();
    assert_eq!(stats.returned, loans.load(Relaxed) + 1);
    assert_eq!(stats.use_time.count(), stats.returned);
    assert_eq!((stats.in_use, stats.leaks), (0, 1), "{stats:?}");
    assert!(pool.close_within(Duration::from_secs(10)).is_clean());
}

#[test]
fn a_loan_that_leaks_beside_the_lock_is_reported_once_and_in_time() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).leak_after(ms(100)).build_lazy(server.manager()).unwrap();
    (0..1_000).for_each(|_| drop(pool.get().unwrap()));
    let _leaked = pool.get().unwrap();
    eventually("the leak is reported", || pool.stats().leaks == 1);
    let holders = pool.holders();
    assert_eq!(holders.len(), 1);
    assert!(holders[0].held_for >= ms(100) && holders[0].call_site.file().ends_with("fast.rs"), "{holders:?}");
}

#[test]
fn a_pool_that_is_closed_holds_nothing_back() {
    for _ in 0..50 {
        let server = FakeServer::new();
        let pool = pool_of(&server, 4);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| while pool.get().is_ok() {});
            }
            eventually("there are loans", || pool.stats().returned > 100);
            pool.close();
        });
        assert!(pool.close_within(Duration::from_secs(10)).is_clean());
        assert_eq!(server.live(), 0);
    }
}
