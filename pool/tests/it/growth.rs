//! The growth of a pool: for waiters, for `min_idle`, and no further.

use crate::support::{Pool, SLACK, builder, hold, ms, pool_of};
use cabrank::{Fault, PooledConnection};
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use cabrank_testing::{eventually, timed};
use std::time::Duration;

#[test]
fn a_connection_that_comes_too_late_for_the_one_who_asked_is_there_for_the_next() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 4);
    server.order(Call::Connect, Outcome::Never);
    assert!(pool.get_timeout(ms(30)).unwrap_err().is_timeout());
    server.release(Call::Connect);
    eventually("it is open", || pool.stats().idle == 1);
    assert!(pool.try_get().unwrap().is_some());
    assert_eq!(server.count(Call::Connect), 1, "nobody connected a second time");
}

#[test]
fn a_thousand_who_cannot_wait_for_a_slow_connect_do_not_connect_a_thousand_times() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 4);
    server.order(Call::Connect, Outcome::Slow(ms(300)));
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let _ = pool.get_timeout(ms(10));
                }
            });
        }
    });
    eventually("they are open", || pool.stats().opening == 0);
    assert!(server.count(Call::Connect) <= 4, "{}", server.count(Call::Connect));
    assert_eq!(pool.stats().closed.total(), 0, "nothing was opened only to be closed");
}

#[test]
fn a_spike_that_the_present_connections_can_serve_opens_at_most_two_more() {
    let server = FakeServer::new();
    server.allow(50);
    let pool = builder().max_size(50).min_idle(5).build(server.manager()).unwrap();
    eventually("five are idle", || pool.stats().idle == 5);
    server.order(Call::Connect, Outcome::Slow(ms(150)));
    let ((), took) = timed(|| {
        std::thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    let _conn = pool.get().unwrap();
                    std::thread::sleep(ms(2)); // The work.
                });
            }
        });
    });
    assert!(took < ms(100) + SLACK, "{took:?}");
    eventually("what was begun is open", || pool.stats().opening == 0);
    assert!(server.count(Call::Connect) <= 7, "{} were opened", server.count(Call::Connect));
}

#[test]
fn a_cold_pool_opens_one_and_then_at_once_what_the_waiters_need() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 8);
    server.order(Call::Connect, Outcome::Never);
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..8).map(|_| scope.spawn(|| pool.get().unwrap())).collect();
        eventually("all wait, and one connects", || pool.stats().waiting == 8 && server.now_in(Call::Connect) == 1);
        server.release(Call::Connect);
        eventually("seven connect at the same time", || server.now_in(Call::Connect) == 7);
        server.release(Call::Connect);
        waiters.into_iter().for_each(|waiter| drop(waiter.join().unwrap()));
    });
    assert_eq!(server.count(Call::Connect), 8);
}

#[test]
fn a_pool_grows_for_a_steady_need() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 8);
    drop(hold(&pool, 1));
    let held = hold(&pool, 8);
    assert_eq!(held.len(), 8);
}

#[test]
fn what_build_waits_for_is_opened_by_sixteen_at_a_time_after_the_first() {
    let server = FakeServer::new();
    server.allow(40);
    server.order(Call::Connect, Outcome::Never);
    let settings = builder().max_size(40).min_idle(40);
    let pool = std::thread::scope(|scope| {
        let building = scope.spawn(|| settings.build(server.manager()).unwrap());
        eventually("one connects", || server.now_in(Call::Connect) == 1);
        server.release(Call::Connect);
        for (begun, together) in [(17, 16), (33, 16), (40, 7)] {
            let connecting = || (server.count(Call::Connect), server.now_in(Call::Connect));
            eventually("as many connect as may", || connecting() == (begun, together));
            server.release(Call::Connect);
        }
        building.join().unwrap()
    });
    assert_eq!((pool.stats().idle, server.peak_in(Call::Connect)), (40, 16));
    server.forget_peaks();
    let held = hold(&pool, 40);
    held.into_iter().for_each(PooledConnection::discard);
    eventually("as many connect as may when nobody waits", || server.now_in(Call::Connect) == 4);
    server.heal();
    eventually("all are there again", || pool.stats().idle == 40);
    assert_eq!(server.peak_in(Call::Connect), 4);
    server.assert_no_leaks(&pool);
}

#[test]
fn min_idle_is_refilled_and_never_above_max_size() {
    let server = FakeServer::new();
    server.allow(4);
    let pool = builder().max_size(4).min_idle(2).build_lazy(server.manager()).unwrap();
    eventually("two are idle", || pool.stats().idle == 2);
    let mut held = hold(&pool, 1);
    eventually("two are idle again", || pool.stats().idle == 2);
    held.append(&mut hold(&pool, 2));
    eventually("the rest is idle", || pool.stats().open == 4);
    assert_eq!(pool.stats().idle, 1);
    held.append(&mut hold(&pool, 1));
    assert!(pool.try_get().unwrap().is_none());
    drop(held);
    assert_eq!((server.peak(), server.count(Call::Connect)), (4, 4));
}

#[test]
fn set_min_idle_opens_in_the_background() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 4);
    assert_eq!(server.count(Call::Connect), 0);
    pool.set_min_idle(3).unwrap();
    eventually("three are idle", || pool.stats().idle == 3);
    assert!(pool.set_min_idle(5).is_err(), "more than max_size");
}

#[test]
fn build_opens_min_idle_but_at_least_one_and_build_lazy_waits_for_none() {
    for (min_idle, opened) in [(0, 1), (3, 3)] {
        let server = FakeServer::new();
        let pool: Pool = builder().max_size(4).min_idle(min_idle).build(server.manager()).unwrap();
        assert_eq!(pool.stats().idle, opened);
    }
    let server = FakeServer::new();
    server.order(Call::Connect, Outcome::Never);
    let (pool, took) = timed(|| builder().min_idle(3).build_lazy(server.manager()).unwrap());
    assert!(took < SLACK, "{took:?}");
    assert_eq!(pool.stats().open, 0);
}

#[test]
fn growing_the_pool_serves_those_who_wait() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    server.allow(3);
    let held = hold(&pool, 1);
    std::thread::scope(|scope| {
        let waiters = [(); 2].map(|()| scope.spawn(|| pool.get().unwrap()));
        eventually("two wait", || pool.stats().waiting == 2);
        pool.set_max_size(3).unwrap();
        // Each keeps its own until both are served.
        let served = waiters.map(|waiter| waiter.join().unwrap());
        assert_eq!(pool.stats().in_use, 3);
        drop(served);
    });
    drop(held);
}

#[test]
fn an_attempt_that_drags_on_does_not_hold_up_the_next() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 4);
    let held = hold(&pool, 1);
    server.next(Call::Connect, Outcome::Never);
    std::thread::scope(|scope| {
        // While loans continue, one is opened at a time. Of two waiters the second needs another one.
        let first = scope.spawn(|| timed(|| pool.get_timeout(Duration::from_secs(5))));
        eventually("it connects", || server.now_in(Call::Connect) == 1);
        let second = scope.spawn(|| timed(|| pool.get_timeout(Duration::from_secs(5))));
        let (one, took) = first.join().unwrap();
        // Within a second a slow server cannot be distinguished from a hung attempt.
        assert!(one.is_ok() && took < ms(1_000) + SLACK, "{took:?}");
        server.release(Call::Connect);
        assert!(second.join().unwrap().0.is_ok());
    });
    drop(held);
}

#[test]
fn that_a_server_is_full_says_nothing_against_the_connections_that_there_are() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).build_lazy(server.manager()).unwrap();
    let held = pool.get().unwrap();
    server.order(Call::Connect, Outcome::Err(Fault::Capacity));
    assert!(pool.get_timeout(ms(50)).is_err());
    assert!(pool.stats().open_failures > 0);
    drop(held);
    drop(pool.get().unwrap());
    assert_eq!(server.count(Call::Check), 0);
}
