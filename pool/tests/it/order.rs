//! Who is served when: order of arrival, the fairness window, and time-outs that race with returns.

use crate::support::{SLACK, builder, hold, ms, pool_of};
use cabrank_testing::fake::FakeServer;
use cabrank_testing::{eventually, timed};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

#[test]
fn with_a_window_of_zero_waiters_are_served_strictly_in_order_of_arrival() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).fairness_window(Duration::ZERO).build_lazy(server.manager()).unwrap();
    let served = Mutex::new(Vec::new());
    let held = hold(&pool, 1);
    std::thread::scope(|scope| {
        for n in 0..40 {
            let (pool, served) = (&pool, &served);
            scope.spawn(move || {
                let _conn = pool.get().unwrap();
                served.lock().unwrap().push(n);
            });
            eventually("it waits", || pool.stats().waiting == n + 1);
        }
        drop(held);
    });
    assert_eq!(served.into_inner().unwrap(), (0..40).collect::<Vec<u32>>());
}

#[test]
fn a_newcomer_overtakes_only_within_the_window() {
    // A waiter that wakes quickly may come first all the same, so one overtaking in many rounds is enough.
    assert!((0..200).any(|_| is_overtaken(Duration::MAX)));
    assert!((0..200).all(|_| !is_overtaken(Duration::ZERO)));
}

/// A waiter is queued, and the holder returns the only connection and requests one again at once. Does it get it?
fn is_overtaken(window: Duration) -> bool {
    let server = FakeServer::new();
    let pool = builder().max_size(1).fairness_window(window).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 1);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.get_timeout(Duration::from_secs(10)).unwrap());
        eventually("it waits", || pool.stats().waiting == 1);
        drop(held);
        let again = pool.try_get().unwrap();
        let overtaken = again.is_some();
        drop(again);
        drop(waiter.join().unwrap());
        overtaken
    })
}

#[test]
fn one_that_has_waited_longer_than_the_window_comes_before_any_newcomer() {
    let server = FakeServer::new();
    // However long this takes, no check may happen in between.
    let pool = builder().max_size(1).check_after(Duration::MAX).build_lazy(server.manager()).unwrap();
    for _ in 0..200 {
        let held = hold(&pool, 1);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| drop(pool.get().unwrap()));
            eventually("it waits", || pool.stats().waiting == 1);
            let overdue = Instant::now() + ms(2);
            while Instant::now() < overdue {
                std::thread::yield_now();
            }
            drop(held);
            // Delivered under the lock, so it does not matter how soon the waiter wakes.
            assert!(pool.stats().in_use == 1 || pool.stats().checked_out_after_waiting > 0);
            assert_eq!(pool.stats().waiting, 0, "served by the return itself");
            waiter.join().unwrap();
        });
    }
}

#[test]
fn a_waiter_loses_at_most_the_length_of_one_loan_to_those_who_overtake() {
    const LOAN: Duration = ms(20);
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let held = hold(&pool, 1);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| timed(|| pool.get().map(drop)));
        eventually("it waits", || pool.stats().waiting == 1);
        for _ in 0..4 {
            scope.spawn(|| {
                // Greedy newcomers that never queue.
                let until = Instant::now() + 10 * LOAN;
                while Instant::now() < until {
                    if let Some(mut conn) = pool.try_get().unwrap() {
                        let _ = conn.query();
                        std::thread::sleep(LOAN); // The loan.
                    }
                }
            });
        }
        drop(held);
        let (outcome, waited) = waiter.join().unwrap();
        outcome.unwrap();
        assert!(waited < LOAN + SLACK, "{waited:?}");
    });
}

#[test]
fn a_time_out_that_races_a_return_loses_neither_the_waiter_nor_the_connection() {
    // A strict hand-over delivers to the waiter itself; with a window the waiter is only notified to look.
    for window in [Duration::ZERO, ms(1)] {
        race(50_000, window);
    }
}

fn race(rounds: u32, window: Duration) {
    let server = FakeServer::new();
    server.allow(1);
    let pool = builder().max_size(1).fairness_window(window).build_lazy(server.manager()).unwrap();
    let (go, gone) = channel::<()>();
    let (again, wants_again) = channel::<()>();
    let (ready, is_ready) = channel();
    let (mut served, mut missed) = (0u32, 0u32);
    // Adjusted so that both outcomes are about equally frequent on any machine.
    let mut timeout = Duration::from_micros(20);
    let step = Duration::from_nanos(500);
    std::thread::scope(|scope| {
        let pool = &pool;
        scope.spawn(move || {
            for () in wants_again {
                let conn = pool.get().expect("the connection is not lost");
                ready.send(()).unwrap();
                if gone.recv().is_err() {
                    break;
                }
                drop(conn);
            }
        });
        for _ in 0..rounds {
            again.send(()).unwrap();
            is_ready.recv_timeout(Duration::from_secs(20)).expect("the holder is not lost");
            go.send(()).unwrap();
            match pool.get_timeout(timeout) {
                Ok(conn) => {
                    served += 1;
                    drop(conn);
                    timeout = timeout.saturating_sub(step).max(step);
                }
                Err(error) => {
                    assert!(error.is_timeout());
                    missed += 1;
                    timeout += step;
                }
            }
        }
        drop((go, again));
    });
    println!("window {window:?}: {served} served, {missed} timed out");
    assert!(served >= rounds / 100 && missed >= rounds / 100, "{served} served, {missed} timed out: no race");
    let stats = pool.stats();
    assert_eq!((stats.idle, stats.in_use, stats.waiting), (1, 0, 0));
    assert_eq!(stats.timed_out, u64::from(missed));
    assert_eq!(stats.opened, 1);
}

#[test]
fn a_return_from_another_thread_reaches_the_waiter() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let (send, receive) = channel::<crate::support::Guard>();
    std::thread::scope(|scope| {
        scope.spawn(move || receive.into_iter().for_each(drop));
        for _ in 0..10_000 {
            send.send(pool.get().unwrap()).unwrap();
        }
        drop(send);
    });
    assert_eq!(pool.stats().opened, 1);
}
