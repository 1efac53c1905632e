//! Behaviour when no connection can be opened: one attempt at a time, pauses with a cap, recovery, a full server, a wrong password.

use crate::stale::pass;
use crate::support::{SLACK, builder, hold, ms};
use cabrank::{BuildError, Cause, Fault, GetError};
use cabrank_testing::fake::{Call, FakeError, FakeServer, Outcome};
use cabrank_testing::{eventually, timed};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn in_an_outage_there_is_one_attempt_at_a_time_and_pauses_keep_their_bounds() {
    let server = FakeServer::new();
    server.allow(8);
    let pool = builder().max_size(8).backoff(ms(20), ms(80)).build_lazy(server.manager()).unwrap();
    server.order(Call::Connect, Outcome::Err(Fault::Unavailable));
    assert!(pool.get_timeout(ms(1)).is_err());
    eventually("the outage is known", || pool.stats().open_failures > 0);
    server.forget_peaks();
    server.order(Call::Connect, Outcome::Err(Fault::Unavailable));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert!(pool.get_timeout(ms(1_500)).unwrap_err().is_timeout()));
        }
    });
    assert_eq!(server.peak_in(Call::Connect), 1);
    let times = server.times(Call::Connect);
    let pauses: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|&pause| pause >= ms(10)), "{pauses:?}");
    // Each takes at most the cap, apart from scheduling delays, and on average about half of it.
    assert!((15..=150).contains(&times.len()), "{} attempts in 1.5 s", times.len());
    assert!(pauses.iter().all(|&pause| pause < ms(80) + SLACK), "{pauses:?}");
    assert!(pauses.iter().max() > pauses.iter().min(), "there is jitter");
}

#[test]
fn attempts_that_hang_in_an_outage_are_made_one_at_a_time_too() {
    let server = FakeServer::new();
    server.allow(8);
    let pool = builder().max_size(8).build_lazy(server.manager()).unwrap();
    server.next(Call::Connect, Outcome::Err(Fault::Unavailable));
    assert!(pool.get_timeout(ms(1)).is_err());
    eventually("the outage is known", || pool.stats().open_failures > 0);
    server.order(Call::Connect, Outcome::Never);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(pool.get_timeout(ms(2_500)).unwrap_err().is_timeout()));
        }
    });
    assert_eq!(server.peak_in(Call::Connect), 1);
}

#[test]
fn the_first_success_comes_within_the_cap_plus_one_attempt_after_the_server_is_back() {
    let server = FakeServer::new();
    server.allow(4);
    let pool = builder().max_size(4).backoff(ms(50), ms(200)).build_lazy(server.manager()).unwrap();
    server.order(Call::Connect, Outcome::Err(Fault::Unavailable));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.get().map(|_| Instant::now()));
        eventually("the outage lasts", || server.count(Call::Connect) >= 8);
        let back = Instant::now();
        server.heal();
        let took = waiter.join().unwrap().unwrap() - back;
        assert!(took < ms(200) + SLACK, "{took:?}");
    });
    server.assert_no_leaks(&pool);
}

#[test]
fn after_an_outage_the_pool_opens_one_then_two_then_four_at_a_time() {
    let server = FakeServer::new();
    server.allow(16);
    let pool = builder().max_size(16).backoff(ms(10), ms(10)).build_lazy(server.manager()).unwrap();
    server.next(Call::Connect, Outcome::Err(Fault::Unavailable));
    assert!(pool.get_timeout(ms(1)).is_err());
    eventually("the outage is known", || pool.stats().open_failures > 0);
    server.order(Call::Connect, Outcome::Never);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..15).map(|_| scope.spawn(|| pool.get().unwrap())).collect();
        for (step, expected) in [1, 1, 2, 4].into_iter().enumerate() {
            eventually("attempts are under way", || server.now_in(Call::Connect) >= expected);
            pass(ms(20));
            let now = server.now_in(Call::Connect);
            assert!(now <= [1, 1, 2, 8][step], "step {step}: {now} at a time");
            let opened = pool.stats().opened;
            server.release(Call::Connect);
            eventually("they are open", || pool.stats().opened >= opened + expected as u64);
        }
        server.heal();
        waiters.into_iter().for_each(|waiter| drop(waiter.join().unwrap()));
    });
    server.assert_no_leaks(&pool);
}

#[test]
fn with_four_sessions_of_ten_wanted_thirty_two_threads_are_served_without_a_failure() {
    let server = FakeServer::new();
    let pool = builder().max_size(10).build_lazy(server.manager()).unwrap();
    drop(hold(&pool, 4));
    server.allow(5); // The four, and the probe that the server refuses.
    server.order(Call::Connect, Outcome::Err(Fault::Capacity));
    let before = server.count(Call::Connect);
    let ((), took) = timed(|| {
        thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        pool.get().unwrap().query().unwrap();
                    }
                });
            }
        });
    });
    let attempts = server.count(Call::Connect) - before;
    // One at once, then with pauses of at least 10 ms.
    assert!(attempts as u128 <= 2 + took.as_millis() / 10, "{attempts} attempts in {took:?}");
    assert_eq!(pool.stats().closed.total(), 0, "a full server proves no death");
    server.heal();
    server.allow(10);
    server.assert_no_leaks(&pool);
}

#[test]
fn when_a_full_server_has_room_again_it_is_tried_one_connection_at_a_time() {
    let server = FakeServer::new();
    server.allow(10);
    let pool = builder().max_size(10).backoff(ms(10), ms(10)).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 4);
    server.next(Call::Connect, Outcome::Err(Fault::Capacity));
    server.order(Call::Connect, Outcome::Never);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..6).map(|_| scope.spawn(|| pool.get().unwrap())).collect();
        eventually("all wait", || pool.stats().waiting == 6);
        for opened in 5..=9 {
            eventually("one connects", || server.now_in(Call::Connect) == 1);
            pass(ms(15));
            assert_eq!(server.now_in(Call::Connect), 1, "with {} open", opened - 1);
            server.release(Call::Connect);
            eventually("it is open", || pool.stats().opened == opened);
        }
        server.heal();
        waiters.into_iter().for_each(|waiter| drop(waiter.join().unwrap()));
    });
    drop(held);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_permanent_fault_with_no_connection_open_fails_all_waiters_at_once_with_the_shared_cause() {
    let server = FakeServer::new();
    server.allow(4);
    let pool = builder().max_size(4).build_lazy(server.manager()).unwrap();
    // The attempt takes a while, so all wait for it.
    server.order(Call::Fault, Outcome::Never);
    server.order(Call::Connect, Outcome::Err(Fault::Permanent));
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..20).map(|_| scope.spawn(|| pool.get())).collect();
        eventually("all wait", || pool.stats().waiting == 20);
        server.order(Call::Fault, Outcome::Ok);
        let told = Instant::now();
        server.release(Call::Fault);
        let mut causes: Vec<Arc<FakeError>> = Vec::new();
        for waiter in waiters {
            match waiter.join().unwrap().unwrap_err() {
                GetError::Connect(Cause::Driver(cause)) => causes.push(cause),
                error => panic!("{error:?}"),
            }
        }
        assert!(told.elapsed() < SLACK, "{:?}", told.elapsed());
        assert!(causes.iter().all(|cause| Arc::ptr_eq(cause, &causes[0])), "all share the one cause");
    });
    // Later callers, until the next probe is due.
    let attempts = server.count(Call::Connect);
    for _ in 0..20 {
        let (error, took) = timed(|| pool.get().unwrap_err());
        assert!(
            matches!(&error, GetError::Connect(Cause::Driver(cause)) if cause.fault == Fault::Permanent),
            "{error}"
        );
        assert!(took < SLACK, "{took:?}");
    }
    assert_eq!(server.count(Call::Connect), attempts, "an account may be locked: no attempt in between");
    assert!(matches!(pool.try_get(), Err(GetError::Connect(_))));

    // The password is corrected: the probe, when due, succeeds, and callers that come during it wait for it.
    server.heal();
    eventually("the pool recovers on its own when used", || pool.get().is_ok());
    server.assert_no_leaks(&pool);
}

#[test]
fn a_permanent_fault_with_connections_open_only_stops_growth() {
    let server = FakeServer::new();
    server.allow(4);
    let pool = builder().max_size(4).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 2);
    server.order(Call::Connect, Outcome::Err(Fault::Permanent));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.get());
        eventually("growth was refused", || pool.stats().open_failures > 0);
        pass(ms(20));
        let told = format!("{:?}", pool.get_timeout(ms(1)).unwrap_err());
        assert!(told.contains("ago: Connect failed: Permanent"), "{told}");
        assert_eq!(pool.stats().waiting, 1, "it still may be served by a return");
        drop(held);
        assert!(waiter.join().unwrap().is_ok());
    });
    for _ in 0..50 {
        drop(hold(&pool, 2));
    }
    assert_eq!(server.count(Call::Connect), 3);
}

#[test]
fn after_an_eviction_a_permanent_fault_is_tried_again_at_once() {
    let server = FakeServer::new();
    server.allow(4);
    let pool = builder().max_size(4).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 2);
    // The password was changed at the server, and the pool finds that before it gets the new one.
    server.order(Call::Connect, Outcome::Err(Fault::Permanent));
    assert!(pool.get_timeout(ms(1)).is_err());
    eventually("growth was refused", || pool.stats().open_failures > 0);
    server.heal();
    pool.evict_all();
    drop(held);
    for _ in 0..20 {
        let (conn, took) = timed(|| pool.get().map(drop));
        assert!(conn.is_ok(), "{conn:?}");
        assert!(took < SLACK, "{took:?}");
    }
    // If the eviction does not help, the pool refuses as before.
    server.order(Call::Connect, Outcome::Err(Fault::Permanent));
    pool.evict_all();
    assert!(matches!(pool.get(), Err(GetError::Connect(_))));
    let attempts = server.count(Call::Connect);
    for _ in 0..20 {
        assert!(matches!(pool.get(), Err(GetError::Connect(_))));
    }
    assert_eq!(server.count(Call::Connect), attempts);
    server.heal();
    pool.evict_all();
    server.assert_no_leaks(&pool);
}

#[test]
fn what_was_refused_before_an_eviction_says_nothing_of_what_comes_after_it() {
    let server = FakeServer::new();
    server.allow(4);
    let pool = builder().max_size(4).build_lazy(server.manager()).unwrap();
    // The attempt with the old password is under way when the pool gets the new one.
    server.order(Call::Fault, Outcome::Never);
    server.order(Call::Connect, Outcome::Err(Fault::Permanent));
    assert!(pool.get_timeout(ms(1)).is_err());
    eventually("it was refused", || server.now_in(Call::Fault) == 1);
    server.order(Call::Connect, Outcome::Ok);
    pool.evict_all();
    server.order(Call::Fault, Outcome::Ok);
    server.release(Call::Fault);
    for _ in 0..20 {
        let (conn, took) = timed(|| pool.get().map(drop));
        assert!(conn.is_ok(), "{conn:?}");
        assert!(took < SLACK, "{took:?}");
    }
    eventually("the refusal has arrived", || pool.stats().open_failures == 1);
    drop(pool.get().expect("a connection"));
    server.assert_no_leaks(&pool);
}

#[test]
fn build_goes_on_trying_while_unavailable_and_fails_at_once_for_a_permanent_fault() {
    let server = FakeServer::new();
    server.next(Call::Connect, Outcome::Err(Fault::Unavailable));
    server.next(Call::Connect, Outcome::Err(Fault::Unavailable));
    let pool = builder().build(server.manager()).unwrap();
    assert_eq!((pool.stats().open_failures, pool.stats().idle), (2, 1));

    for (fault, least, most) in [(Fault::Unavailable, ms(200), ms(200) + SLACK), (Fault::Permanent, ms(0), SLACK)] {
        let server = FakeServer::new();
        server.order(Call::Connect, Outcome::Err(fault));
        let (outcome, took) = timed(|| builder().connect_timeout(ms(200)).build(server.manager()));
        match outcome {
            Err(BuildError::Connect(Cause::Driver(cause))) => assert_eq!(cause.fault, fault),
            other => panic!("{other:?}"),
        }
        assert!(took >= least && took < most, "{fault:?}: {took:?}");
        eventually("nothing is left behind", || server.live() == 0);
    }

    let server = FakeServer::new();
    server.order(Call::Connect, Outcome::Stuck);
    let (outcome, took) = timed(|| builder().connect_timeout(ms(100)).build(server.manager()));
    assert!(matches!(outcome, Err(BuildError::Timeout(_))), "{outcome:?}");
    assert!(took < ms(100) + SLACK, "{took:?}");
}

#[test]
fn connections_that_die_while_the_pool_is_built_do_not_keep_it_from_being_built() {
    let server = FakeServer::new();
    for _ in 0..3 {
        server.next(Call::OnOpen, Outcome::Err(Fault::Fatal));
    }
    let pool = builder().min_idle(2).on_open(server.set_up()).build(server.manager()).unwrap();
    assert_eq!(pool.stats().idle, 2);
}
