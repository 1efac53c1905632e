//! Clean sessions: what is reset, when, where, and the cost when nothing needs it.

use crate::support::{SLACK, builder, closed_by, ms};
use cabrank::{CloseReason, Fault, Pool, PooledConnection, SessionPolicy, SessionState, SetUp};
use cabrank_testing::fake::{Call, FakeConnection, FakeManager, FakeServer, Outcome};
use cabrank_testing::{eventually, timed};
use std::time::Duration;

const SESSIONS: [SessionState; 4] =
    [SessionState::Clean, SessionState::Slight, SessionState::InTransaction, SessionState::Unknown];

#[test]
fn each_policy_resets_what_it_says() {
    for (policy, resets) in [
        (SessionPolicy::Tracked, [false, true, true, true]),
        (SessionPolicy::Always, [true, true, true, true]),
        (SessionPolicy::Never, [false, false, false, false]),
    ] {
        for (session, reset) in SESSIONS.into_iter().zip(resets) {
            let server = FakeServer::new();
            let pool = builder().max_size(1).session_policy(policy).build_lazy(server.manager()).unwrap();
            pool.get().unwrap().session = session;
            drop(pool.get().unwrap());
            assert_eq!(server.count(Call::Reset), usize::from(reset), "{policy:?} {session:?}");
            let stats = pool.stats();
            assert_eq!((stats.resets_done, stats.resets_failed), (u64::from(reset), 0), "{policy:?} {session:?}");
        }
    }
}

#[test]
fn what_is_always_reset_is_not_asked_for_its_state_at_a_server_and_is_reset_here_in_an_engine() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).session_policy(SessionPolicy::Always).build_lazy(server.manager()).unwrap();
    pool.get().unwrap().litter();
    eventually("it is reset", || pool.stats().resets_done == 1);
    assert_eq!(server.by_thread(Call::Session).1, 0, "the returning thread makes no round trip");

    let server = FakeServer::new();
    let engine = Pool::builder().max_size(1).session_policy(SessionPolicy::Always).build_lazy(server.engine()).unwrap();
    engine.get().unwrap().session = SessionState::Clean;
    assert_eq!((engine.stats().resets_done, server.by_thread(Call::Reset)), (1, (0, 1)), "clean or not");
}

#[test]
fn an_untouched_guard_resets_nothing_whatever_the_policy() {
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always, SessionPolicy::Never] {
        let server = FakeServer::new();
        let pool = builder().max_size(1).session_policy(policy).build(server.manager()).unwrap();
        let asked = server.count(Call::Session);
        for _ in 0..5 {
            let conn = pool.get().unwrap();
            let _ = (PooledConnection::id(&conn), PooledConnection::uses(&conn), format!("{conn:?}"));
        }
        assert_eq!((server.count(Call::Session), server.count(Call::Reset)), (asked, 0), "{policy:?}");
        assert_eq!(pool.stats().resets_skipped, 5);
    }
}

#[test]
fn a_shared_reference_counts_as_touching() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).session_policy(SessionPolicy::Always).build_lazy(server.manager()).unwrap();
    let conn = pool.get().unwrap();
    let _ = conn.id;
    drop(conn);
    drop(pool.get().unwrap());
    assert_eq!(server.count(Call::Reset), 1);
}

#[test]
fn nobody_meets_what_another_left_behind() {
    for verdict in [Outcome::Ok, Outcome::Err(Fault::Statement), Outcome::Never, Outcome::Panic] {
        let server = FakeServer::new();
        // If each reset fails, connections are opened with pauses, which are short here.
        let settings = builder().max_size(2).reset_timeout(ms(10)).backoff(ms(10), ms(10));
        let pool = settings.build_lazy(server.manager()).unwrap();
        server.order(Call::Reset, verdict);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..20 {
                        // Alternately as a thread and as a task.
                        let conn = if number % 2 == 0 { pool.get() } else { pollster::block_on(pool.get_async()) };
                        let mut conn = conn.unwrap();
                        assert!(!conn.leftovers, "{verdict:?}");
                        conn.litter();
                    }
                });
            }
        });
        server.heal();
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn a_failing_reset_closes_the_connection() {
    for (verdict, reason) in [
        (Outcome::Err(Fault::Statement), CloseReason::ResetFailed),
        (Outcome::Panic, CloseReason::Panicked),
        (Outcome::Never, CloseReason::Overran),
    ] {
        let server = FakeServer::new();
        let pool = builder().max_size(1).reset_timeout(ms(20)).build_lazy(server.manager()).unwrap();
        server.next(Call::Reset, verdict);
        pool.get().unwrap().litter();
        eventually("it is closed", || closed_by(&pool, reason) == 1);
        assert_eq!(pool.stats().resets_failed, 1);
        assert_eq!(pool.get().unwrap().id, 1, "{verdict:?}: the next is another");
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn on_open_runs_after_opening_and_again_after_each_reset() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).on_open(server.set_up()).build_lazy(server.manager()).unwrap();
    for n in 1..=4 {
        let mut conn = pool.get().unwrap();
        assert_eq!(conn.set_ups, n);
        conn.litter();
    }
    let conn = pool.get().unwrap();
    let set_ups = conn.set_ups;
    drop(conn);
    let conn = pool.get().unwrap();
    assert_eq!((set_ups, conn.set_ups), (5, 5), "no reset, no set-up");
    drop(conn);
    let (in_workers, elsewhere) = server.by_thread(Call::OnOpen);
    assert_eq!((in_workers, elsewhere), (5, 0));
}

#[test]
fn a_failing_on_open_after_a_reset_closes_the_connection() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).on_open(server.set_up()).build_lazy(server.manager()).unwrap();
    pool.get().unwrap().litter();
    eventually("it is reset", || pool.stats().resets_done == 1);
    server.next(Call::OnOpen, Outcome::Err(Fault::Statement));
    pool.get().unwrap().litter();
    eventually("it is closed", || closed_by(&pool, CloseReason::ResetFailed) == 1);
    assert_eq!(pool.get().unwrap().set_ups, 1);
}

#[test]
fn only_what_is_surely_small_is_reset_in_the_returning_thread() {
    let server = FakeServer::new();
    let remote = builder().max_size(1).build_lazy(server.manager()).unwrap();
    remote.get().unwrap().litter_slightly();
    eventually("it is reset", || remote.stats().resets_done == 1);
    assert_eq!(server.by_thread(Call::Reset), (1, 0), "a round trip is not small");

    let server = FakeServer::new();
    let engine = Pool::builder().max_size(1).build_lazy(server.engine()).unwrap();
    engine.get().unwrap().litter_slightly();
    assert_eq!(engine.stats().resets_done, 1, "done when drop returns");
    assert_eq!((engine.stats().resets_skipped, server.by_thread(Call::Reset)), (0, (0, 1)));
    engine.get().unwrap().litter();
    eventually("it is reset", || engine.stats().resets_done == 2);
    assert_eq!(server.by_thread(Call::Reset), (1, 1), "a reset of an unknown state may take long");

    // A set-up is the user's code, and may take its time.
    let server = FakeServer::new();
    let engine = Pool::builder().max_size(1).on_open(server.set_up()).build_lazy(server.engine()).unwrap();
    engine.get().unwrap().litter_slightly();
    assert_eq!(engine.get().unwrap().set_ups, 2);
    assert_eq!(server.by_thread(Call::Reset), (1, 0));
}

#[test]
fn a_reset_in_the_returning_thread_that_fails_closes_the_connection() {
    for (verdict, reason) in
        [(Outcome::Err(Fault::Statement), CloseReason::ResetFailed), (Outcome::Panic, CloseReason::Panicked)]
    {
        let server = FakeServer::new();
        let pool = Pool::builder().max_size(1).build_lazy(server.engine()).unwrap();
        server.next(Call::Reset, verdict);
        pool.get().unwrap().litter_slightly();
        assert_eq!(closed_by(&pool, reason), 1, "{verdict:?}");
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn returning_takes_no_time_however_long_the_reset_does() {
    let server = FakeServer::new();
    returns_at_once(&server, builder().max_size(1).build_lazy(server.manager()).unwrap());
    let server = FakeServer::new();
    returns_at_once(&server, Pool::builder().max_size(1).build_lazy(server.engine()).unwrap());
}

fn returns_at_once<const REMOTE: bool>(server: &FakeServer, pool: Pool<FakeManager<REMOTE>>) {
    let mut conn = pool.get().unwrap();
    conn.litter();
    server.next(Call::Reset, Outcome::Never);
    let ((), took) = timed(|| drop(conn));
    assert!(took < ms(50), "{took:?}");
    eventually("it is reset", || server.now_in(Call::Reset) == 1);
    assert!(pool.get_timeout(ms(5)).is_err());
    server.release(Call::Reset);
    drop(pool.get().unwrap());
    assert_eq!(pool.stats().opened, 1);
}

#[test]
fn a_reset_has_its_time_though_somebody_waits_for_its_slot() {
    let server = FakeServer::new();
    server.allow(1);
    let pool = builder().max_size(1).build_lazy(server.manager()).unwrap();
    server.order(Call::Reset, Outcome::Slow(ms(150)));
    for _ in 0..4 {
        pool.get().unwrap().litter();
    }
    let _conn = pool.get().unwrap();
    let stats = pool.stats();
    assert_eq!(
        (stats.opened, stats.resets_done, stats.resets_failed),
        (1, 4, 0),
        "longer than a check may take, and successful"
    );
}

#[test]
fn a_reset_in_the_returning_thread_is_aborted_at_its_limit() {
    let server = FakeServer::new();
    let settings = Pool::builder().max_size(2).reset_timeout(ms(100));
    let pool = settings.build_lazy(server.engine()).unwrap();
    let (mut one, mut other) = (pool.get().unwrap(), pool.get().unwrap());
    one.litter_slightly();
    other.litter_slightly();
    // The first reset succeeds, and its alarm stays: the second has its full time all the same.
    drop(one);
    crate::stale::pass(ms(50));
    server.next(Call::Reset, Outcome::Slow(Duration::from_secs(20)));
    let ((), took) = timed(|| drop(other));
    assert!(took >= ms(100) && took < ms(100) + SLACK, "{took:?}");
    assert_eq!(
        (closed_by(&pool, CloseReason::Overran), pool.stats().resets_done, pool.stats().resets_failed),
        (1, 1, 1)
    );
    drop((pool.get().unwrap(), pool.get().unwrap()));
    assert_eq!(pool.stats().opened, 3);
    cabrank_testing::assert_closes_clean(&pool);
}

#[test]
fn one_that_is_found_broken_at_its_return_is_closed_and_the_others_are_checked() {
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always, SessionPolicy::Never] {
        let server = FakeServer::new();
        let settings = builder().max_size(2).session_policy(policy).check_after(Duration::MAX);
        let pool = settings.build_lazy(server.manager()).unwrap();
        let (mut broken, other) = (pool.get().unwrap(), pool.get().unwrap());
        drop(other);
        eventually("it is idle", || pool.stats().idle == 1);
        let (checks, resets) = (server.count(Call::Check), server.count(Call::Reset));
        broken.session = SessionState::Broken;
        drop(broken);
        drop(pool.get().unwrap());

        // Sessions are examined at return only if they are tracked.
        let found = u64::from(policy == SessionPolicy::Tracked);
        assert_eq!(closed_by(&pool, CloseReason::Broken), found, "{policy:?}");
        assert_eq!((server.count(Call::Check) - checks) as u64, found, "{policy:?}");
        if policy == SessionPolicy::Tracked {
            assert_eq!((server.count(Call::Reset), server.count(Call::Close)), (resets, 0), "the server gets no call");
        }
    }
}

#[test]
fn a_session_that_is_set_up_and_found_broken_is_a_failed_attempt_or_a_failed_reset() {
    let server = FakeServer::new();
    let broken_from = |set_up: u32| {
        move |conn: &mut FakeConnection, _: &SetUp<'_>| {
            conn.set_ups += 1;
            if conn.set_ups == set_up {
                conn.session = SessionState::Broken;
            }
            Ok(())
        }
    };
    let settings = || builder().max_size(1).build_timeout(ms(50));
    let error = settings().on_open(broken_from(1)).build(server.manager()).unwrap_err();
    assert!(format!("{error:?}").contains("found the connection broken"), "{error:?}");

    let pool = settings().on_open(broken_from(2)).build(server.manager()).unwrap();
    pool.get().unwrap().litter();
    drop(pool.get().unwrap());
    assert_eq!((pool.stats().resets_failed, closed_by(&pool, CloseReason::ResetFailed)), (1, 1));
    server.assert_no_leaks(&pool);
}
