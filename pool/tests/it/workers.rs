//! The workers and the timer, as users see them: which thread runs what, and that a hung call delays nothing else.

use crate::support::{Pool, SLACK, builder, hold, ms, pool_of};
use cabrank::{GetError, PooledConnection};
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use cabrank_testing::{eventually, timed};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

#[test]
fn limits_hold_while_every_worker_of_ten_pools_hangs_where_nobody_can_abort_it() {
    let servers: Vec<_> = (0..10).map(|_| FakeServer::new()).collect();
    let pools: Vec<_> = servers
        .iter()
        .map(|server| {
            let pool =
                builder().max_size(3).close_timeout(ms(50)).connect_timeout(ms(100)).build_lazy(server.manager());
            let pool = pool.unwrap();
            server.without_abort_handles();
            let mut held = hold(&pool, 2);
            server.order(Call::AbortHandle, Outcome::Ok);
            server.order(Call::Reset, Outcome::Stuck);
            held.iter_mut().for_each(|conn| conn.litter());
            drop(held);
            eventually("they hang", || server.now_in(Call::Reset) == 2);
            pool
        })
        .collect();
    thread::scope(|scope| {
        for (pool, server) in pools.iter().zip(&servers) {
            scope.spawn(move || {
                // The last slot opens one more; its goodbye hangs, and is aborted before its limit, because a borrower waits.
                server.next(Call::Close, Outcome::Never);
                PooledConnection::discard(pool.get().unwrap());
                server.next(Call::Connect, Outcome::Never);
                let (conn, took) = timed(|| pool.get());
                // Ten pools do so at the same time, and each stall of a busy machine puts off the goodbye's end.
                assert!(conn.is_ok() && took >= ms(100) && took < ms(250) + 4 * SLACK, "{took:?}");
                drop(conn);
                let (error, took) = timed(|| {
                    let _held = pool.get().unwrap();
                    pool.get_timeout(ms(50)).unwrap_err()
                });
                assert!(error.is_timeout() && took < ms(50) + SLACK, "{took:?}");
            });
        }
    });
    for (pool, server) in pools.iter().zip(&servers) {
        server.heal();
        server.assert_closes_clean(pool);
    }
}

#[test]
fn close_within_keeps_its_time_though_cancels_and_goodbyes_hang() {
    for size in [1, 4] {
        let server = FakeServer::new();
        let pool = builder().max_size(size).close_timeout(ms(100)).build_lazy(server.manager()).unwrap();
        let held = hold(&pool, size);
        server.order(Call::Cancel, Outcome::Never);
        server.order(Call::Close, Outcome::Never);
        let (report, took) = thread::scope(|scope| {
            scope.spawn(|| {
                eventually("it cancels", || server.count(Call::Cancel) == size as usize);
                drop(held);
            });
            timed(|| pool.close_within(Duration::from_secs(1)))
        });
        assert!(report.is_clean(), "{report}");
        assert!(took < Duration::from_secs(1) + SLACK, "{took:?}");
        assert_eq!(server.live(), 0);
    }
}

#[test]
fn goodbyes_are_said_by_four_at_a_time() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 100);
    drop(hold(&pool, 100));
    server.order(Call::Close, Outcome::Slow(ms(5)));
    pool.evict_all();
    eventually("all are gone", || server.live() == 0);
    assert_eq!((server.peak_in(Call::Close), server.count(Call::Close)), (4, 100));
}

#[test]
fn checks_that_keep_connections_alive_use_four_threads_though_none_is_answered() {
    let server = FakeServer::new();
    let pool = builder().max_size(100).keepalive(ms(200)).build_lazy(server.manager()).unwrap();
    server.order(Call::Check, Outcome::Stuck);
    drop(hold(&pool, 100));
    eventually("all threads that there are for it hang", || server.now_in(Call::Check) == 4);
    // Nothing may happen in this time, so the test can only wait: long enough for the turns of all others.
    thread::sleep(ms(300));
    assert_eq!(server.peak_in(Call::Check), 4);
    server.heal();
    server.assert_closes_clean(&pool);
}

#[test]
fn all_that_nobody_waits_for_uses_eight_threads_together_though_every_call_hangs() {
    let server = FakeServer::new();
    let long = Duration::from_secs(10);
    let settings = builder().max_size(100).keepalive(ms(200)).check_timeout(long).close_timeout(long);
    let pool = settings.build_lazy(server.manager()).unwrap();
    let mut held = hold(&pool, 50);
    server.order(Call::Close, Outcome::Stuck);
    held.drain(20..).for_each(PooledConnection::discard);
    (0..2).for_each(|_| server.next(Call::Check, Outcome::Stuck));
    drop(held);
    eventually("two checks hang", || server.now_in(Call::Check) >= 2);
    server.order(Call::Connect, Outcome::Stuck);
    pool.set_min_idle(50).unwrap();
    let calls = [Call::Close, Call::Check, Call::Connect];
    eventually("all that may hang do", || calls.iter().all(|call| server.now_in(*call) >= 2));
    server.order(Call::Check, Outcome::Stuck);
    // Nothing may happen in this time, so the test can only wait: long enough for the turns of all others.
    thread::sleep(ms(300));
    let under_way = calls.map(|call| server.now_in(call));
    assert_eq!(under_way[0], 4, "goodbyes of {under_way:?}");
    assert_eq!(under_way.iter().sum::<usize>(), 8, "{under_way:?}");
    server.heal();
    server.assert_closes_clean(&pool);
}

#[test]
fn goodbyes_that_nobody_answers_are_over_after_one_close_timeout_however_many_they_are() {
    let server = FakeServer::new();
    let pool = builder().max_size(50).close_timeout(ms(200)).build_lazy(server.manager()).unwrap();
    drop(hold(&pool, 50));
    server.order(Call::Close, Outcome::Never);
    let ((), took) = timed(|| {
        pool.evict_all();
        eventually("all slots are back", || pool.stats().closing == 0);
    });
    assert!(took >= ms(200) && took < ms(200) + SLACK, "{took:?}");
    assert_eq!((server.live(), server.count(Call::Abort)), (0, 50));
}

#[test]
fn goodbyes_that_hang_where_nobody_can_abort_them_hold_up_no_other() {
    type End = fn(Pool);
    let ends: [(&str, End); 3] = [
        ("evicted", |pool| {
            pool.evict_all();
            eventually("the others are gone", || (1..=10).contains(&pool.stats().closing));
        }),
        ("dropped", drop),
        ("closed", |pool| drop(pool.close_within(ms(1000)))),
    ];
    for (what, end) in ends {
        let server = FakeServer::new();
        server.without_abort_handles();
        let pool = builder().max_size(30).close_timeout(ms(200)).build_lazy(server.manager()).unwrap();
        drop(hold(&pool, 30));
        server.order(Call::Close, Outcome::Stuck);
        let ((), took) = timed(|| {
            end(pool);
            eventually("those are left that hang", || server.live() == server.now_in(Call::Close));
        });
        assert!(took < ms(1000) + SLACK, "{what}: {took:?}");
        assert!(server.live() <= 10, "{what}: {}", server.live());
        server.heal();
        eventually("all are gone", || server.live() == 0);
    }
}

#[test]
fn close_within_aborts_the_goodbyes_that_have_not_begun() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 50);
    drop(hold(&pool, 50));
    server.order(Call::Close, Outcome::Never);
    let (report, took) = timed(|| pool.close_within(ms(400)));
    assert!(report.is_clean() && took < ms(400) + SLACK, "{took:?}: {report}");
    assert_eq!(server.live(), 0);
}

#[test]
fn a_hook_of_one_pool_may_use_another_and_not_its_own() {
    let (inner_server, outer_server) = (FakeServer::new(), FakeServer::new());
    let inner = pool_of(&inner_server, 1);
    let (tell, told) = channel();
    let (in_hook, own): (Pool, std::sync::Arc<std::sync::OnceLock<Pool>>) = (inner.clone(), Default::default());
    let its_own = own.clone();
    let outer = builder()
        .max_size(1)
        .on_open(move |_, _| {
            let refused = matches!(its_own.get().unwrap().get(), Err(GetError::CalledFromHook));
            // The pool is cold: a worker must open a connection while this one waits.
            tell.send((refused, in_hook.get().map(|mut conn| conn.query().is_ok()))).unwrap();
            Ok(())
        })
        .build_lazy(outer_server.manager())
        .unwrap();
    own.set(outer.clone()).unwrap();
    drop(outer.get().unwrap());
    assert!(matches!(told.recv().unwrap(), (true, Ok(true))));
    outer_server.assert_closes_clean(&outer);
    inner_server.assert_closes_clean(&inner);
}

#[test]
fn what_the_timer_finds_is_told_in_a_worker() {
    let server = FakeServer::new();
    let settings = builder().max_size(2).leak_after(ms(20)).connect_timeout(ms(50)).event_handler(server.recorder());
    let pool = settings.build_lazy(server.manager()).unwrap();
    let held = pool.get().unwrap();
    eventually("a leak is reported", || server.by_thread(Call::Event) == (2, 1));
    server.next(Call::Connect, Outcome::Never);
    assert!(pool.try_get().unwrap().is_none());
    eventually("an attempt was given up", || pool.stats().open_failures == 1);
    eventually("and reported", || server.by_thread(Call::Event).0 == 3);
    drop(held);
    server.heal();
    server.assert_closes_clean(&pool);
}

#[test]
fn threads_left_are_those_in_the_pools_own_calls() {
    let (server, other) = (FakeServer::new(), FakeServer::new());
    let (pool, hung) = (pool_of(&server, 2), pool_of(&other, 2));
    server.without_abort_handles();
    other.without_abort_handles();
    other.order(Call::Close, Outcome::Stuck);
    hold(&hung, 2).into_iter().for_each(drop);
    hung.close();
    eventually("both hang", || other.now_in(Call::Close) == 2);
    server.next(Call::Close, Outcome::Stuck);
    drop(hold(&pool, 2));
    let report = pool.close_within(ms(100));
    assert_eq!((report.connections_left, report.threads_left), (1, 1), "{report}");
    server.heal();
    other.heal();
    server.assert_closes_clean(&pool);
    other.assert_closes_clean(&hung);
}
