//! The guarantees of `get` also hold for `get_async`. These are the cases that other tests do not cover.

use crate::polling::{Flag, poll};
use crate::stale::pass;
use crate::support::{Guard, Pool, SLACK, builder, closed_by, hold, ms, pool_of};
use cabrank::{CloseReason, Fault, GetError, PooledConnection, Verdict};
use cabrank_testing::fake::{Call, FakeError, FakeServer, Outcome};
use cabrank_testing::panics::ORDERED;
use cabrank_testing::{Recorder, eventually, timed};
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

type Got = Result<Guard, GetError<FakeError>>;

fn get(pool: &Pool) -> Got {
    pollster::block_on(pool.get_async())
}

fn get_within(pool: &Pool, timeout: Duration) -> Got {
    pollster::block_on(pool.get_async_timeout(timeout))
}

/// A pool with `size` connections, all of them idle.
fn idle_pool(server: &FakeServer, size: u32, check_after: Duration) -> Pool {
    // One more, for the replacement of a dead one.
    server.allow(size as usize + 1);
    let pool = builder().max_size(size).check_after(check_after).build_lazy(server.manager()).unwrap();
    drop(hold(&pool, size));
    eventually("all are idle", || pool.stats().idle == size);
    pool
}

#[test]
fn a_task_is_answered_by_its_deadline_whatever_the_driver_does() {
    for call in [Call::Connect, Call::Check, Call::Reset, Call::Close] {
        for verdict in [Outcome::Never, Outcome::Stuck] {
            let server = FakeServer::new();
            server.allow(1);
            let pool = builder().max_size(1).check_after(Duration::ZERO).build_lazy(server.manager()).unwrap();
            if call != Call::Connect {
                get(&pool).unwrap().litter();
                if call == Call::Close {
                    pool.evict_all();
                }
            }
            server.order(call, verdict);
            for timeout in [ms(1), ms(50)] {
                let (outcome, took) = timed(|| get_within(&pool, timeout));
                assert!(took < timeout + SLACK, "{call:?} {verdict:?}: {took:?}");
                assert!(outcome.is_ok() || took >= timeout, "{call:?} {verdict:?}: too soon, {took:?}");
            }
        }
    }
}

#[test]
fn what_panics_or_refuses_in_the_poll_costs_a_task_one_connection_and_nothing_else() {
    // Whether it is idle at the request, or delivered to a waiter.
    for waits in [false, true] {
        for what in ["has_broken panics", "has_broken", "on_checkout panics", "on_checkout refuses"] {
            let server = FakeServer::new();
            server.allow(1);
            let (told, tells) = (Arc::new(AtomicBool::new(false)), what.starts_with("on_checkout"));
            let its_word = Arc::clone(&told);
            let settings =
                builder().max_size(1).on_checkout(move |_, _| match its_word.swap(false, Ordering::SeqCst) {
                    false => Verdict::Keep,
                    true if what.ends_with("panics") => panic!("{ORDERED}"),
                    true => Verdict::Close,
                });
            let pool = settings.build(server.manager()).unwrap();
            let held = waits.then(|| pool.get().unwrap());
            let (mut future, flag) = (pool.get_async(), Arc::new(Flag::default()));
            if waits {
                assert!(poll(&mut future, &flag).is_pending());
            }
            drop(held);
            told.store(tells, Ordering::SeqCst);
            match what {
                "has_broken panics" => server.next(Call::HasBroken, Outcome::Panic),
                "has_broken" => server.next(Call::HasBroken, Outcome::Err(Fault::Fatal)),
                _ => {}
            }
            let conn = pollster::block_on(future).unwrap();
            assert_eq!(PooledConnection::id(&conn), 2, "{what}, {waits}: the first is not lent");
            assert_eq!(pool.stats().closed.total(), 1, "{what}, {waits}");
            drop(conn);
            server.assert_no_leaks(&pool);
        }
    }
}

#[test]
fn a_task_that_panics_while_it_holds_a_connection_costs_that_connection() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let its_pool = pool.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ended = runtime.block_on(async {
        let panics = tokio::spawn(async move {
            let _conn = its_pool.get_async().await.unwrap();
            tokio::task::yield_now().await;
            panic!("{ORDERED}");
        });
        panics.await.map(|()| unreachable!("it panics"))
    });
    assert!(ended.is_err_and(|error: tokio::task::JoinError| error.is_panic()));
    assert_eq!(closed_by(&pool, CloseReason::Panicked), 1);
    server.assert_no_leaks(&pool);
}

#[test]
fn tasks_use_what_is_idle_while_a_connect_hangs() {
    let server = FakeServer::new();
    let pool = idle_pool(&server, 5, ms(20));
    server.order(Call::Connect, Outcome::Never);
    PooledConnection::discard(get(&pool).unwrap());
    pool.set_min_idle(5).unwrap();
    eventually("a connect hangs", || server.now_in(Call::Connect) == 1);
    pass(ms(25));
    let held: Vec<_> = (0..4).map(|_| get_within(&pool, ms(400)).expect("one is idle")).collect();
    assert_eq!(held.len(), 4);
}

#[test]
fn time_outs_of_tasks_that_race_returns_lose_neither_a_task_nor_the_connection() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let (served, missed) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for seed in 0..3 {
            let (pool, served, missed) = (&pool, &served, &missed);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..5_000 {
                    match get_within(pool, Duration::from_micros(random.u64(1..200))) {
                        Ok(_conn) => {
                            served.fetch_add(1, Ordering::Relaxed);
                            thread::park_timeout(Duration::from_micros(random.u64(0..50)));
                        }
                        Err(error) => {
                            assert!(error.is_timeout(), "{error:?}");
                            missed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let (served, missed, stats) = (served.into_inner(), missed.into_inner(), pool.stats());
    println!("{served} served, {missed} not in time");
    assert!(served > 100 && missed > 100, "{served} served, {missed} not in time");
    assert_eq!((stats.returned, stats.timed_out, stats.idle), (u64::from(served), u64::from(missed), 1));
    server.assert_no_leaks(&pool);
}

#[test]
fn nobody_overtakes_a_task() {
    let server = FakeServer::new();
    server.allow(1);
    // A window in which a newcomer might always overtake a waiting thread.
    let settings = builder().max_size(1).fairness_window(Duration::MAX).reclaim_after(Duration::MAX);
    let pool = settings.build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 1);
    let (mut future, flag) = (pool.get_async(), Arc::new(Flag::default()));
    assert!(poll(&mut future, &flag).is_pending());
    drop(held);
    assert!(pool.try_get().unwrap().is_none(), "it belongs to the task");
    assert!(get_within(&pool, ms(5)).is_err() && pool.get_timeout(ms(5)).is_err());
    drop(pollster::block_on(future).unwrap());
    server.assert_no_leaks(&pool);
}

#[test]
fn idle_corpses_cost_tasks_nothing_once_one_death_is_proved_and_silence_half_a_second_at_most() {
    let server = FakeServer::new();
    let pool = idle_pool(&server, 10, Duration::from_secs(1));
    let mut conn = get(&pool).unwrap();
    server.kill_sessions();
    let error = conn.query().unwrap_err();
    PooledConnection::report_error(&mut conn, &error);
    drop(conn);
    for _ in 0..20 {
        let (mut conn, took) = timed(|| get(&pool).unwrap());
        conn.query().expect("no dead connection is lent");
        assert!(took < SLACK, "{took:?}");
    }
    server.assert_no_leaks(&pool);

    let server = FakeServer::new();
    let pool = idle_pool(&server, 10, ms(20));
    pass(ms(25));
    server.silence_sessions();
    for n in 0..10 {
        let (conn, took) = timed(|| get(&pool));
        assert!(took <= ms(500), "get {n} took {took:?}");
        conn.unwrap().query().unwrap();
    }
    server.heal();
    server.assert_no_leaks(&pool);
}

#[test]
fn an_outage_and_servers_in_the_wrong_role_cost_a_task_no_failure() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    (0..3).for_each(|_| server.next(Call::Connect, Outcome::Err(Fault::Unavailable)));
    drop(get(&pool).unwrap());
    assert_eq!(server.count(Call::Connect), 4);
    server.assert_no_leaks(&pool);

    let server = FakeServer::new();
    let pool = idle_pool(&server, 8, Duration::MAX);
    let mut conn = get(&pool).unwrap();
    PooledConnection::report_error(&mut conn, &FakeError { call: Call::Query, fault: Fault::WrongRole });
    drop(conn);
    (0..7).for_each(|_| server.next(Call::Check, Outcome::Err(Fault::WrongRole)));
    drop(get(&pool).unwrap());
    eventually("all are closed", || closed_by(&pool, CloseReason::WrongRole) == 8);
    server.assert_no_leaks(&pool);
}

#[test]
fn no_loan_of_a_task_begins_after_the_life_of_its_connection() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).max_lifetime(ms(60)).lifetime_jitter(0.0).build_lazy(server.manager()).unwrap();
    while closed_by(&pool, CloseReason::Expired) < 3 {
        let asked = Instant::now();
        let conn = get(&pool).unwrap();
        let age = asked.saturating_duration_since(PooledConnection::opened_at(&conn));
        assert!(age < ms(60), "lent at the age of {age:?}");
    }
}

#[test]
fn the_time_out_of_a_task_tells_the_numbers_the_holders_and_the_cause() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 2);
    let _held = get(&pool).unwrap();
    server.order(Call::Connect, Outcome::Err(Fault::Unavailable));
    let error = get_within(&pool, ms(60)).unwrap_err();
    let report = error.report().expect("it is a time-out");
    assert!(report.waited >= ms(60) && report.waited < ms(60) + SLACK, "{error}");
    assert_eq!((report.stats.in_use, report.stats.max_size, report.held_by_this_thread), (1, 2, 0));
    assert!(error.to_string().contains("promises.rs"), "{error}");
    assert!(error.source().is_some_and(|source| source.is::<FakeError>()), "{error:?}");
}

/// A handler may also use the pool, in the thread that polls.
#[test]
fn every_request_of_a_task_ends_in_one_counter_and_one_event() {
    static POOL: OnceLock<Pool> = OnceLock::new();
    let server = FakeServer::new();
    let recorder = Arc::new(Recorder::then(|| {
        if let Some(pool) = POOL.get() {
            assert_eq!(pool.stats().max_size, 1);
        }
    }));
    let settings = builder().max_size(1).max_waiters(1).event_handler(recorder.clone());
    let pool = settings.build(server.manager()).unwrap();
    POOL.set(pool.clone()).expect("it is set once");
    let flag = Arc::new(Flag::default());
    // Served at once; timed out twice; dropped; overloaded; served after waiting.
    let held = get(&pool).unwrap();
    assert!(get_within(&pool, ms(1)).is_err() && get_within(&pool, Duration::ZERO).is_err());
    let mut dropped = pool.get_async();
    assert!(poll(&mut dropped, &flag).is_pending());
    drop(dropped);
    let mut waits = pool.get_async();
    assert!(poll(&mut waits, &flag).is_pending());
    assert!(matches!(get(&pool), Err(GetError::Overloaded(_))));
    drop(held);
    drop(pollster::block_on(waits).unwrap());
    // Refused with the cause; closed.
    server.order(Call::Connect, Outcome::Err(Fault::Permanent));
    pool.evict_all();
    assert!(matches!(get(&pool), Err(GetError::Connect(_))));
    pool.close();
    assert!(matches!(get(&pool), Err(GetError::Closed)));

    let stats = pool.stats();
    let served = stats.checked_out_at_once + stats.checked_out_after_waiting - stats.rejected_at_checkout;
    let counted = [
        (served, "checked out", 2),
        (stats.timed_out, "timed out", 2),
        (stats.cancelled, "refused: cancelled", 1),
        (stats.overloaded, "overloaded", 1),
        (stats.refused, "refused: connect", 1),
        (stats.refused_closed, "refused: closed", 1),
    ];
    for (count, event, expected) in counted {
        let told = recorder.count(event) as u64;
        assert_eq!((count, told), (expected, expected), "{event:?} in {:#?}", recorder.events());
    }
    server.heal();
    server.assert_closes_clean(&pool);
}
