//! Connections that may be dead: checks, suspicion, and the cost of both to a borrower.

use crate::support::{Pool, SLACK, builder, closed_by, hold, ms};
use cabrank::{CloseReason, Fault, PooledConnection};
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use cabrank_testing::{eventually, timed};
use std::time::{Duration, Instant};

#[test]
fn idle_connections_that_never_answer_cost_a_get_half_a_second_at_most_and_no_failure() {
    let server = FakeServer::new();
    let pool = idle_pool(&server, 10, ms(20));
    pass(ms(25));
    server.silence_sessions();
    for n in 0..10 {
        let (conn, took) = timed(|| pool.get());
        assert!(took <= ms(500), "get {n} took {took:?}");
        conn.unwrap().query().unwrap();
    }
    assert!(server.peak() <= 10);
    server.heal();
    server.assert_no_leaks(&pool);
}

#[test]
fn borrowers_that_come_together_to_idle_connections_that_never_answer_are_served_as_soon() {
    let server = FakeServer::new();
    let pool = idle_pool(&server, 10, ms(20));
    pass(ms(25));
    server.silence_sessions();
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                let (conn, took) = timed(|| pool.get());
                assert!(took <= ms(500), "{took:?}");
                conn.unwrap().query().unwrap();
            });
        }
    });
    server.assert_no_leaks(&pool);
}

#[test]
fn one_proof_of_death_has_the_others_checked_before_their_next_loan() {
    for proof in ["has_broken at return", "has_broken at check-out", "a fatal error noted", "a failed check"] {
        let server = FakeServer::new();
        let pool = idle_pool(&server, 4, if proof == "a failed check" { Duration::ZERO } else { Duration::MAX });
        let mut held = hold(&pool, 1);
        let checks = server.count(Call::Check);
        match proof {
            "has_broken at return" => server.next(Call::HasBroken, Outcome::Err(Fault::Fatal)),
            "a fatal error noted" => {
                let error = cabrank_testing::fake::FakeError { call: Call::Query, fault: Fault::Fatal };
                assert_eq!(PooledConnection::report_error(&mut held[0], &error), Fault::Fatal);
            }
            _ => {}
        }
        drop(held);
        match proof {
            "has_broken at check-out" => {
                server.next(Call::HasBroken, Outcome::Err(Fault::Fatal));
                drop(pool.get().unwrap());
            }
            "a failed check" => {
                server.next(Call::Check, Outcome::Err(Fault::Fatal));
                drop(pool.get().unwrap());
            }
            _ => {}
        }
        let held = hold(&pool, 3);
        assert!(server.count(Call::Check) >= checks + 3, "{proof}: {} checks", server.count(Call::Check) - checks);
        drop(held);
        assert_eq!(pool.stats().closed.total(), 1, "{proof}");
    }
}

#[test]
fn a_refused_connect_puts_the_idle_ones_under_suspicion() {
    let server = FakeServer::new();
    let pool = idle_pool(&server, 2, Duration::MAX);
    pool.set_max_size(3).unwrap();
    server.next(Call::Connect, Outcome::Err(Fault::Unavailable));
    let mut held = hold(&pool, 2);
    assert!(pool.try_get().unwrap().is_none());
    eventually("the attempt was refused", || pool.stats().open_failures == 1);
    held.clear();
    assert_eq!(server.count(Call::Check), 0);
    drop(hold(&pool, 2));
    assert_eq!(server.count(Call::Check), 2);
}

#[test]
fn after_the_server_died_idle_corpses_cost_users_nothing() {
    let server = FakeServer::new();
    let pool = idle_pool(&server, 10, Duration::from_secs(1));
    let mut conn = pool.get().unwrap();
    server.kill_sessions();
    let error = conn.query().unwrap_err();
    PooledConnection::report_error(&mut conn, &error);
    drop(conn);
    // One death is proved: no borrower meets a second.
    for _ in 0..20 {
        let (mut conn, took) = timed(|| pool.get().unwrap());
        conn.query().expect("no dead connection is lent");
        assert!(took < SLACK, "{took:?}");
    }
    assert!(closed_by(&pool, CloseReason::CheckFailed) > 0);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_lent_connection_that_outlived_a_death_is_checked_when_it_comes_back() {
    let server = FakeServer::new();
    let pool = idle_pool(&server, 2, Duration::MAX);
    let (one, mut other) = (pool.get().unwrap(), pool.get().unwrap());
    PooledConnection::report_error(
        &mut other,
        &cabrank_testing::fake::FakeError { call: Call::Query, fault: Fault::Fatal },
    );
    drop(other);
    drop(one);
    assert_eq!(server.count(Call::Check), 0);
    drop(pool.get().unwrap());
    assert_eq!(server.count(Call::Check), 1);
}

#[test]
fn check_after_zero_checks_before_every_loan_and_max_before_none() {
    for (check_after, checks) in [(Duration::ZERO, 5), (Duration::MAX, 0)] {
        let server = FakeServer::new();
        let pool = idle_pool(&server, 1, check_after);
        for _ in 0..5 {
            drop(pool.get().unwrap());
        }
        // The first was proved by its opening.
        let done = server.count(Call::Check);
        assert!(done == checks || done + 1 == checks, "check_after {check_after:?}: {done} checks");
    }
}

#[test]
fn a_failed_check_costs_its_connection_and_not_the_borrower() {
    for verdict in [Outcome::Err(Fault::Fatal), Outcome::Panic, Outcome::Never] {
        let server = FakeServer::new();
        let pool = idle_pool(&server, 2, Duration::ZERO);
        server.next(Call::Check, verdict);
        let mut conn = pool.get().unwrap();
        conn.query().unwrap();
        drop(conn);
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn checks_run_in_a_worker_and_never_in_the_borrower() {
    let server = FakeServer::new();
    let pool = idle_pool(&server, 2, Duration::ZERO);
    for _ in 0..10 {
        drop(pool.get().unwrap());
    }
    let (in_workers, elsewhere) = server.by_thread(Call::Check);
    assert!(in_workers > 0);
    assert_eq!(elsewhere, 0);
}

#[test]
fn keepalive_checks_idle_connections_in_the_background() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).min_idle(2).keepalive(ms(20)).build(server.manager()).unwrap();
    eventually("each was checked", || server.count(Call::Check) >= 4);
    server.kill_sessions();
    eventually("the dead are replaced", || closed_by(&pool, CloseReason::CheckFailed) >= 1 && pool.stats().idle == 2);
    assert_eq!(pool.stats().checked_out_at_once, 0, "no loan began");
}

#[test]
fn a_connection_that_looks_broken_is_never_lent() {
    let server = FakeServer::new();
    let pool = idle_pool(&server, 2, Duration::MAX);
    server.next(Call::HasBroken, Outcome::Err(Fault::Fatal));
    server.next(Call::HasBroken, Outcome::Panic);
    let conn = pool.get().unwrap();
    assert_eq!(conn.id, 2, "the first two were found broken");
    drop(conn);
    assert_eq!((closed_by(&pool, CloseReason::Broken), closed_by(&pool, CloseReason::Panicked)), (1, 1));
    server.assert_no_leaks(&pool);
}

/// A pool with all its connections open and idle.
fn idle_pool(server: &FakeServer, size: u32, check_after: Duration) -> Pool {
    server.allow(size as usize + 1);
    let pool = builder().max_size(size).check_after(check_after).build_lazy(server.manager()).unwrap();
    drop(hold(&pool, size));
    eventually("all are idle", || pool.stats().idle == size);
    pool
}

/// Lets time pass, as the setting under test requires.
pub(crate) fn pass(span: Duration) {
    let until = Instant::now() + span;
    eventually("time passes", || Instant::now() >= until);
}
