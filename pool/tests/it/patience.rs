//! Late is not dead: how long the pool relies on a call, what makes room for waiters, and how much is opened meanwhile.

use crate::stale::pass;
use crate::support::{Pool, SLACK, builder, hold, ms, pool_of};
use cabrank::{Fault, GetError, PooledConnection};
use cabrank_testing::fake::{Call, FakeError, FakeServer, Outcome};
use cabrank_testing::{eventually, timed};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn at_a_steady_120_ms_a_get_costs_one_round_trip_and_no_session() {
    let server = FakeServer::new();
    server.allow(1);
    server.order(Call::Connect, Outcome::Slow(ms(240)));
    server.order(Call::Check, Outcome::Slow(ms(120)));
    let pool = builder().max_size(1).check_after(Duration::ZERO).build(server.manager()).unwrap();
    for _ in 0..8 {
        let (conn, took) = timed(|| pool.get().map(drop));
        assert!(conn.is_ok() && took < ms(120) + SLACK, "{took:?}");
    }
    assert_eq!((server.count(Call::Connect), pool.stats().closed.total()), (1, 0));
}

#[test]
fn answers_that_take_150_ms_for_a_while_cost_no_session() {
    let server = FakeServer::new();
    server.allow(4);
    let pool = builder().max_size(4).check_after(Duration::ZERO).build_lazy(server.manager()).unwrap();
    drop(hold(&pool, 4));
    for answer in [Outcome::Ok, Outcome::Slow(ms(150)), Outcome::Ok] {
        server.order(Call::Check, answer);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..4).for_each(|_| pool.get().unwrap().query().unwrap()));
            }
        });
    }
    assert_eq!((server.count(Call::Connect), pool.stats().closed.total()), (4, 0));
}

#[test]
fn a_jump_of_what_answers_take_costs_one_session_though_log_ins_stay_quick() {
    for (answer, is_known) in [(ms(400), false), (ms(400), true), (ms(300), true)] {
        let server = FakeServer::new();
        server.allow(4);
        let pool = builder().max_size(4).check_after(Duration::ZERO).build_lazy(server.manager()).unwrap();
        let held = hold(&pool, 4);
        drop(held);
        if is_known {
            (0..4).for_each(|_| drop(hold(&pool, 4)));
        }
        server.order(Call::Check, Outcome::Slow(answer));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..3).for_each(|_| drop(pool.get().unwrap())));
            }
        });
        let closed = pool.stats().closed.total();
        assert!(closed <= 1, "{closed} closed at {answer:?}, known: {is_known}");
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn a_check_that_nobody_can_abort_is_not_given_up_for_nothing() {
    let server = FakeServer::new();
    server.allow(1);
    server.without_abort_handles();
    let pool = builder().max_size(1).check_after(Duration::ZERO).build(server.manager()).unwrap();
    server.order(Call::Check, Outcome::Slow(ms(600)));
    assert!(pool.get().is_ok());
    assert_eq!((server.count(Call::Connect), pool.stats().closed.total()), (1, 0));
    server.assert_no_leaks(&pool);
}

#[test]
fn who_has_little_time_has_the_next_idle_one_asked_soon() {
    let server = FakeServer::new();
    server.allow(5);
    server.order(Call::Connect, Outcome::Slow(ms(600)));
    let pool = builder().max_size(5).check_after(Duration::ZERO).build_lazy(server.manager()).unwrap();
    drop(hold(&pool, 5));
    server.order(Call::Connect, Outcome::Never);
    server.next(Call::Check, Outcome::Never);
    let (outcome, took) = timed(|| pool.get_timeout(ms(400)).map(drop));
    assert!(outcome.is_ok() && took < ms(50) + SLACK, "{outcome:?} after {took:?}");
    server.heal();
}

#[test]
fn goodbyes_that_nobody_answers_make_room_for_those_who_wait() {
    let expiring =
        |server: &FakeServer| builder().max_lifetime(ms(150)).lifetime_jitter(0.0).build_lazy(server.manager());
    let reaped = |server: &FakeServer| builder().idle_timeout(ms(150)).build_lazy(server.manager());
    let evicted = |server: &FakeServer| builder().build_lazy(server.manager());
    let ways: [&dyn Fn(&FakeServer) -> Result<Pool, _>; 3] = [&expiring, &reaped, &evicted];
    for way in ways {
        let server = FakeServer::new();
        server.allow(10);
        let pool = way(&server).unwrap();
        let held = hold(&pool, 10);
        server.order(Call::Close, Outcome::Never);
        drop(held);
        if pool.config().max_lifetime > ms(150) && pool.config().idle_timeout > ms(150) {
            pool.evict_all();
        }
        eventually("all are closing", || pool.stats().closed.total() == 10);
        let (outcome, took) = timed(|| pool.get_timeout(ms(500)).map(drop));
        assert!(outcome.is_ok(), "{outcome:?}");
        assert!(took < ms(50) + SLACK, "{took:?}");
    }
}

#[test]
fn one_who_waits_for_a_slow_log_in_makes_two_attempts_at_most_and_hears_of_them() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 8);
    server.order(Call::Connect, Outcome::Never);
    let error = pool.get_timeout(ms(2_500)).unwrap_err();
    // A process that stalls, as on a busy machine, looks once more a second later.
    let told =
        |second| error.to_string().contains(&format!("the oldest connection attempt has been running for {second}."));
    assert!(told(2) || told(3), "{error}");
    assert_eq!(server.count(Call::Connect), 2);
}

#[test]
fn a_wrong_password_is_tried_once_by_a_cold_pool_and_once_after_a_rotation() {
    for (min_idle, crowd) in [(0, 20), (8, 0), (8, 20)] {
        let server = FakeServer::new();
        server.allow(8);
        server.order(Call::Fault, Outcome::Never);
        server.order(Call::Connect, Outcome::Err(Fault::Permanent));
        let pool = builder().max_size(8).min_idle(min_idle).build_lazy(server.manager()).unwrap();
        crowd_is_told(&server, &pool, crowd);
        eventually("it was refused", || pool.stats().open_failures == 1);
        assert_eq!(server.count(Call::Connect), 1, "min_idle {min_idle}, {crowd} borrow");
    }
    let server = FakeServer::new();
    let pool = idle_pool(&server, 8);
    server.order(Call::Fault, Outcome::Never);
    server.order(Call::Connect, Outcome::Err(Fault::Permanent));
    pool.evict_all();
    eventually("the old ones are gone", || pool.stats().closing == 0);
    crowd_is_told(&server, &pool, 20);
    assert_eq!(server.count(Call::Connect), 8 + 1);
}

#[test]
fn a_server_that_hangs_up_at_once_is_tried_now_and_then_and_named() {
    for crowd in [1, 20] {
        let server = FakeServer::new();
        let pool = pool_of(&server, 10);
        server.order(Call::HasBroken, Outcome::Err(Fault::Fatal));
        thread::scope(|scope| {
            for _ in 0..crowd {
                scope.spawn(|| {
                    let error = pool.get_timeout(ms(1_500)).unwrap_err();
                    assert!(format!("{error:?}").contains("closed the connection as soon as it was open"), "{error:?}");
                });
            }
        });
        assert!(server.count(Call::Connect) <= 40, "{crowd} borrow: {} attempts", server.count(Call::Connect));
        server.heal();
        drop(pool.get().unwrap());
    }
}

#[test]
fn connections_that_die_before_their_first_loan_are_opened_now_and_then_and_named() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 10);
    // It looks good to the worker, and dead to the borrower.
    for _ in 0..5_000 {
        server.next(Call::HasBroken, Outcome::Ok);
        server.next(Call::HasBroken, Outcome::Err(Fault::Fatal));
    }
    let error = pool.get_timeout(ms(1_500)).unwrap_err();
    assert!(format!("{error:?}").contains("dead before its first loan"), "{error:?}");
    assert!(server.count(Call::Connect) <= 40, "{} attempts", server.count(Call::Connect));
    server.heal();
    drop(pool.get().unwrap());
}

#[test]
fn idle_connections_are_used_while_a_connect_hangs() {
    let server = FakeServer::new();
    let pool = idle_pool(&server, 5);
    server.order(Call::Connect, Outcome::Never);
    PooledConnection::discard(pool.get().unwrap());
    pool.set_min_idle(5).unwrap();
    eventually("a connect hangs", || server.now_in(Call::Connect) == 1);
    pass(ms(25));
    for _ in 0..3 {
        let held: Vec<_> = (0..4).map(|_| pool.get_timeout(ms(400)).expect("one is idle")).collect();
        assert_eq!(held.len(), 4);
        pass(ms(25));
    }
}

#[test]
fn a_probe_may_take_as_long_as_openings_took_before() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    server.order(Call::Connect, Outcome::Slow(ms(1_200)));
    PooledConnection::discard(pool.get().unwrap());
    eventually("it is gone", || pool.stats().closing == 0);
    server.next(Call::Connect, Outcome::Err(Fault::Unavailable));
    let (conn, took) = timed(|| pool.get().map(drop));
    assert!(conn.is_ok() && took < ms(1_250) + SLACK, "{took:?}");
}

#[test]
fn where_loans_last_longer_than_log_ins_what_is_needed_is_opened() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 17);
    server.order(Call::Connect, Outcome::Slow(ms(400)));
    let first = pool.get().unwrap();
    thread::scope(|scope| {
        let borrowers: Vec<_> = (0..16).map(|_| scope.spawn(|| timed(|| pool.get()))).collect();
        let served: Vec<_> = borrowers.into_iter().map(|borrower| borrower.join().unwrap()).collect();
        let longest = served.iter().map(|(_, took)| *took).max().unwrap();
        // One log-in, after a look at how loans end. With 1, 2, 4 .. at a time it would be five.
        assert!(longest < ms(800) + SLACK, "{longest:?}");
        assert!(served.iter().all(|(conn, _)| conn.is_ok()));
    });
    drop(first);
    assert_eq!(server.count(Call::Connect), 17);
}

#[test]
fn checks_that_always_fail_do_not_cost_a_log_in_for_each_loan() {
    let server = FakeServer::new();
    server.allow(4);
    let pool = builder().max_size(4).check_after(Duration::ZERO).build_lazy(server.manager()).unwrap();
    server.order(Call::Check, Outcome::Err(Fault::Fatal));
    let (until, mut last) = (Instant::now() + ms(1_500), None);
    while Instant::now() < until {
        last = pool.get_timeout(ms(100)).err().or(last);
    }
    assert!(server.count(Call::Connect) <= 40, "{} attempts", server.count(Call::Connect));
    let texts: Vec<_> = anyhow::Error::from(last.unwrap()).chain().map(ToString::to_string).collect();
    assert_eq!(texts[1..], ["a new connection failed its check", "Check failed: Fatal"], "{texts:?}");
    server.heal();
    drop(pool.get().unwrap());
}

#[test]
fn keepalive_checks_are_spread_and_leave_some_idle() {
    let server = FakeServer::new();
    server.allow(8);
    let settings = builder().max_size(8).min_idle(8).keepalive(ms(200)).check_after(Duration::MAX);
    server.order(Call::Check, Outcome::Slow(ms(30)));
    let pool = settings.build(server.manager()).unwrap();
    let (until, mut most) = (Instant::now() + ms(1_000), 0);
    eventually("five periods pass", || {
        most = most.max(pool.stats().checking);
        Instant::now() >= until
    });
    assert!(most <= 4 && server.peak_in(Call::Check) <= 4, "{most} of 8 are checked at the same time");
    assert!(server.count(Call::Check) >= 16, "{} checks", server.count(Call::Check));
}

#[test]
fn a_fresh_connection_beneath_a_stale_one_is_found() {
    let server = FakeServer::new();
    server.allow(2);
    let pool = builder().max_size(2).check_after(ms(400)).build_lazy(server.manager()).unwrap();
    let older = pool.get().unwrap();
    pass(ms(250));
    let newer = pool.get().unwrap();
    let id = newer.id;
    pass(ms(200));
    server.order(Call::Check, Outcome::Never);
    drop(newer);
    drop(older);
    assert_eq!(pool.try_get().unwrap().map(|conn| conn.id), Some(id), "the older one lies on top, and must be checked");
    assert_eq!(pool.get_timeout(Duration::ZERO).map(|conn| conn.id).ok(), Some(id));
    server.release(Call::Check);
}

#[test]
fn beside_a_loan_kept_for_good_a_wrong_password_is_told_at_once() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 2);
    let kept = pool.get().unwrap();
    server.order(Call::Connect, Outcome::Err(Fault::Permanent));
    // For a second the loan still counts as one that may end.
    let (error, took) = timed(|| pool.get_timeout(Duration::from_secs(5)).unwrap_err());
    assert!(is_permanent(&error), "{error}");
    assert!(took < ms(1_000) + SLACK, "{took:?}");
    drop(kept);
    drop(pool.get().unwrap());
}

/// All borrowers wait for the one attempt, which is then refused.
fn crowd_is_told(server: &FakeServer, pool: &Pool, crowd: u32) {
    thread::scope(|scope| {
        for _ in 0..crowd {
            scope.spawn(|| {
                let error = pool.get().unwrap_err();
                assert!(is_permanent(&error), "{error}");
            });
        }
        eventually("all wait", || pool.stats().waiting == crowd && server.now_in(Call::Fault) > 0);
        server.order(Call::Fault, Outcome::Ok);
        server.release(Call::Fault);
    });
}

/// A pool with all its connections open and idle, which are checked after 20 ms.
fn idle_pool(server: &FakeServer, size: u32) -> Pool {
    server.allow(size as usize);
    let pool = builder().max_size(size).check_after(ms(20)).build_lazy(server.manager()).unwrap();
    drop(hold(&pool, size));
    eventually("all are idle", || pool.stats().idle == size);
    pool
}

fn is_permanent(error: &GetError<FakeError>) -> bool {
    matches!(error, GetError::Connect(cause) if cause.driver().is_some_and(|cause| cause.fault == Fault::Permanent))
}
