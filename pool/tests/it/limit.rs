//! The hard limit: never more than `max_size` sessions at the server, whatever the borrowers do.

use crate::support::{SLACK, builder, hold, ms, pool_of};
use cabrank::{Fault, PooledConnection};
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use cabrank_testing::panics::ORDERED;
use cabrank_testing::{Recorder, eventually, timed};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[test]
fn the_limit_holds_under_stress_with_discards_detaches_panics_and_evictions() {
    let server = FakeServer::new();
    server.allow(6);
    let pool =
        builder().max_size(6).min_idle(2).check_after(ms(1)).max_lifetime(ms(40)).build_lazy(server.manager()).unwrap();
    let (served, missed) = (AtomicU64::new(0), AtomicU64::new(0));
    let until = Instant::now() + Duration::from_secs(3);
    std::thread::scope(|scope| {
        for seed in 0..32 {
            let (server, pool, served, missed) = (&server, &pool, &served, &missed);
            scope.spawn(move || {
                let mut random = fastrand(seed);
                while Instant::now() < until {
                    let timeout = [Duration::ZERO, Duration::from_nanos(1), ms(1), ms(1_000)][random() as usize % 4];
                    // Half of them wait as tasks.
                    let got = match seed % 2 {
                        0 => pool.get_timeout(timeout),
                        _ => pollster::block_on(pool.get_async_timeout(timeout)),
                    };
                    let Ok(mut conn) = got else {
                        missed.fetch_add(1, Ordering::Relaxed);
                        continue;
                    };
                    served.fetch_add(1, Ordering::Relaxed);
                    let _ = conn.query();
                    match random() % 60 {
                        0 => PooledConnection::discard(conn),
                        1 => {
                            conn.say_goodbye();
                            drop(PooledConnection::detach(conn));
                        }
                        2 => {
                            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                                let _conn = conn;
                                panic!("{ORDERED}");
                            }));
                            assert!(panic.is_err());
                        }
                        3 => conn.litter(),
                        // Rarely: if resets or checks fail one after the other, little is opened.
                        4 if random() % 16 == 0 => server.next(Call::Reset, Outcome::Err(Fault::Fatal)),
                        5 if random() % 16 == 0 => server.next(Call::Check, Outcome::Panic),
                        6 => pool.evict_all(),
                        // At most six, the limit that the server allows.
                        7 => pool.set_max_size(2 + (random() % 5) as u32).unwrap(),
                        8 => server.next(Call::Close, Outcome::Slow(ms(2))),
                        _ => {}
                    }
                }
            });
        }
    });
    println!("{served:?} served, {missed:?} not in time; {} opened", pool.stats().opened);
    assert!(served.into_inner() > 1_000);
    assert!(server.count(Call::Close) > 50, "connections came and went");
    assert_eq!(server.peak(), 6, "the limit was reached, and not passed");
    server.heal();
    pool.set_max_size(6).unwrap();
    server.assert_no_leaks(&pool);
    server.assert_closes_clean(&pool);
}

#[test]
fn a_connection_that_is_closing_keeps_its_slot_until_the_server_has_ended_the_session() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    // It cannot be aborted for a waiter either.
    server.without_abort_handles();
    server.next(Call::Close, Outcome::Never);
    PooledConnection::discard(pool.get().unwrap());
    eventually("the goodbye is under way", || server.now_in(Call::Close) == 1);
    assert!(pool.get_timeout(ms(20)).is_err(), "a second session would be one too many");
    assert_eq!((pool.stats().closing, server.live()), (1, 1));
    server.release(Call::Close);
    drop(pool.get().unwrap());
}

#[test]
fn an_aborted_connection_gives_its_slot_back_at_once() {
    let server = FakeServer::new();
    server.allow(1);
    let pool = builder().max_size(1).close_timeout(ms(50)).build_lazy(server.manager()).unwrap();
    // The goodbye does not end although it is aborted.
    server.next(Call::Close, Outcome::Stuck);
    PooledConnection::discard(pool.get().unwrap());
    let (conn, took) = timed(|| pool.get());
    // A waiter needs its slot, so it need not get its full time.
    assert!(conn.is_ok() && took < ms(50) + SLACK, "{took:?}");
    assert_eq!((pool.stats().aborted, server.live()), (1, 1));
    server.release(Call::Close);
    eventually("the aborted one is gone", || pool.stats().aborted == 0);
}

#[test]
fn as_many_calls_as_there_are_slots_may_hang_though_aborted() {
    let server = FakeServer::new();
    server.allow(2);
    let pool = builder().max_size(2).close_timeout(ms(20)).build_lazy(server.manager()).unwrap();
    // Each of these goodbyes holds a thread of the lane forever, and the lane has no more.
    for _ in 0..4 {
        server.next(Call::Close, Outcome::Stuck);
        PooledConnection::discard(pool.get().unwrap());
    }
    drop(hold(&pool, 2));
    assert_eq!(pool.stats().aborted, 4);
    server.heal();
    server.assert_no_leaks(&pool);
}

#[test]
fn without_an_abort_handle_a_hung_call_keeps_its_slot_until_it_returns() {
    let server = FakeServer::new();
    server.allow(2);
    server.without_abort_handles();
    let pool = builder().max_size(2).reset_timeout(ms(20)).build_lazy(server.manager()).unwrap();
    server.next(Call::Reset, Outcome::Never);
    pool.get().unwrap().litter();
    eventually("the reset is known to be stuck", || pool.stats().stuck == 1);
    let held = hold(&pool, 1);
    let error = pool.get_timeout(ms(30)).unwrap_err();
    assert!(error.to_string().contains("1 of these stuck"), "{error}");
    drop(held);
    server.release(Call::Reset);
    eventually("it came back", || pool.stats().stuck == 0);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_look_up_that_hangs_gives_its_slot_back_and_costs_a_thread_until_it_returns() {
    let server = FakeServer::new();
    server.allow(1);
    let pool =
        builder().max_size(1).connect_timeout(ms(30)).backoff(ms(10), ms(10)).build_lazy(server.manager()).unwrap();
    for _ in 0..4 {
        server.next(Call::LookUp, Outcome::Stuck);
    }
    // More of them than there are slots, and than there are workers.
    let (conn, took) = timed(|| pool.get());
    conn.unwrap().query().unwrap();
    assert!(took >= ms(4 * 30) && took < ms(4 * 40) + SLACK, "{took:?}");
    let stats = pool.stats();
    assert_eq!((stats.abandoned, stats.stuck, stats.open_failures), (4, 0, 4), "{stats:?}");
    let report = pool.close_within(ms(100));
    assert_eq!((report.threads_left, server.live()), (4, 0), "{report}");
    server.release(Call::LookUp);
    eventually("they came back", || pool.stats().abandoned == 0);
    assert_eq!(server.count(Call::Connect), 1, "what they found late was not used");
    assert!(pool.close_within(Duration::from_secs(10)).is_clean());
}

#[test]
fn a_pool_of_which_too_many_calls_hang_says_so_and_goes_on_when_they_return() {
    let (server, recorder) = (FakeServer::new(), Recorder::new());
    server.allow(1);
    let settings = builder().max_size(1).connect_timeout(ms(10)).backoff(ms(10), ms(10));
    let pool = settings.event_handler(Arc::clone(&recorder) as _).build_lazy(server.manager()).unwrap();
    server.order(Call::LookUp, Outcome::Stuck);
    std::thread::scope(|scope| {
        scope.spawn(|| drop(pool.get_timeout(Duration::from_secs(60)).expect("served when they return")));
        eventually("eight look-ups hang", || pool.stats().abandoned == 8);
        // Each was reported when it was given up.
        eventually("all are reported", || recorder.count("open failed: connecting took longer than 10ms") == 8);
        let error = pool.get_timeout(ms(100)).unwrap_err();
        assert_eq!(server.count(Call::LookUp), 8, "there is an end to that");
        for part in [", 8 abandoned, ", "; no more connections are opened until an aborted or abandoned call returns"] {
            assert!(error.to_string().contains(part), "{part:?} is missing in {error}");
        }
        assert!(error.report().unwrap().opens_no_more);
        server.heal();
    });
    eventually("they came back", || pool.stats().abandoned == 0);
    assert_eq!((recorder.count("open failed") as u64, recorder.count("opened")), (pool.stats().open_failures, 1));
    assert_eq!(pool.stats().open_failures, 8, "none is reported a second time");
    server.assert_no_leaks(&pool);
    server.assert_closes_clean(&pool);
}

#[test]
fn an_attempt_that_is_given_up_is_told_then_and_not_when_it_returns() {
    let (server, recorder) = (FakeServer::new(), Recorder::new());
    let settings = builder().max_size(1).connect_timeout(ms(10));
    let pool = settings.event_handler(Arc::clone(&recorder) as _).build_lazy(server.manager()).unwrap();
    server.next(Call::Connect, Outcome::Stuck);
    assert!(pool.try_get().unwrap().is_none());
    eventually("it is reported", || recorder.count("open failed: connecting took longer than 10ms") == 1);
    assert_eq!((server.now_in(Call::Connect), pool.stats().stuck), (1, 1), "it hangs on");
    server.release(Call::Connect);
    eventually("it came back", || pool.stats().opening == 0 && server.live() == 0);
    drop(pool.get().unwrap());
    assert_eq!((recorder.count("open failed"), pool.stats().open_failures), (1, 1));
    server.assert_closes_clean(&pool);
}

#[test]
fn a_detached_connection_counts_no_more_and_lives_on() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let conn = pool.get().unwrap();
    conn.say_goodbye();
    let mut own = PooledConnection::detach(conn);
    let other = pool.get().unwrap();
    assert_ne!(own.id, other.id);
    own.query().unwrap();
    assert_eq!(server.count(Call::Close), 0);
}

/// A small generator, so failures can be reproduced.
fn fastrand(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 8
    }
}
