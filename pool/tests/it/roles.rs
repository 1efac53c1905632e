//! A server that continues to serve in another role than required: its sessions leave the pool, and new ones are refused until the role
//! is right.

use crate::support::{Pool, SLACK, builder, closed_by, hold, ms};
use cabrank::{CloseReason, Fault, PooledConnection};
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeError, FakeServer, Outcome};
use std::thread;
use std::time::{Duration, Instant};

const WRONG: Outcome = Outcome::Err(Fault::WrongRole);

#[test]
fn one_server_in_the_wrong_role_has_the_others_checked_before_their_next_loan_and_its_session_says_goodbye() {
    for proof in ["an error reported", "a reset", "a check"] {
        let server = FakeServer::new();
        let pool = idle_pool(&server, 4, if proof == "a check" { Duration::ZERO } else { Duration::MAX });
        let checks = server.count(Call::Check);
        let mut conn = hold(&pool, 1).remove(0);
        match proof {
            "an error reported" => {
                let error = FakeError { call: Call::Query, fault: Fault::WrongRole };
                assert_eq!(PooledConnection::report_error(&mut conn, &error), Fault::WrongRole);
            }
            "a reset" => {
                conn.litter();
                server.next(Call::Reset, WRONG);
            }
            _ => server.next(Call::Check, WRONG),
        }
        drop(conn);
        if proof == "a check" {
            drop(pool.get().unwrap());
        }
        eventually("it is closed", || closed_by(&pool, CloseReason::WrongRole) == 1);
        let held = hold(&pool, 3);
        assert!(server.count(Call::Check) >= checks + 3, "{proof}: {} checks", server.count(Call::Check) - checks);
        drop(held);
        eventually("it is closed at the server", || server.count(Call::Close) == 1);
        assert_eq!(pool.stats().closed.total(), 1, "{proof}");
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn new_connections_are_refused_with_pauses_until_the_role_is_right_and_the_cause_is_named() {
    let server = FakeServer::new();
    let recorder = server.recorder();
    let settings = builder().max_size(4).event_handler(recorder.clone());
    let pool = settings.build_lazy(server.manager()).unwrap();
    server.order(Call::Connect, WRONG);
    let error = pool.get_timeout(ms(200)).unwrap_err();
    let text = format!("{error:?}");
    assert!(error.is_timeout() && text.contains("ago: Connect failed: WrongRole"), "{text}");
    server.forget_peaks();
    // There may be six attempts already, none of them in the peak any more.
    let enough = (server.count(Call::Connect) + 2).max(6);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.get().map(|_| Instant::now()));
        eventually("the trouble lasts", || server.count(Call::Connect) >= enough);
        assert_eq!(server.peak_in(Call::Connect), 1);
        let right = Instant::now();
        server.heal();
        let took = waiter.join().unwrap().unwrap() - right;
        assert!(took < ms(500) + SLACK, "{took:?}");
    });
    assert!(recorder.count("open failed: Connect failed: WrongRole") >= 6);
    let stats = pool.stats();
    assert_eq!(stats.wrong_role_failures, stats.open_failures);
    server.assert_no_leaks(&pool);
}

#[test]
fn idle_sessions_are_not_lent_once_one_was_found_to_have_a_server_in_the_wrong_role() {
    let server = FakeServer::new();
    let pool = idle_pool(&server, 8, Duration::MAX);
    let mut conn = hold(&pool, 1).remove(0);
    PooledConnection::report_error(&mut conn, &FakeError { call: Call::Query, fault: Fault::WrongRole });
    drop(conn);
    // The primary was demoted: each check finds that, and new connections reach the new primary.
    (0..7).for_each(|_| server.next(Call::Check, WRONG));
    drop(pool.get().unwrap());
    eventually("all are closed", || closed_by(&pool, CloseReason::WrongRole) == 8);
    server.assert_no_leaks(&pool);
}

#[test]
fn new_sessions_in_the_wrong_role_are_opened_now_and_then_and_named_where_opening_does_not_ask() {
    let server = FakeServer::new();
    let pool = builder().max_size(4).build_lazy(server.manager()).unwrap();
    let (begun, mut told) = (Instant::now(), None);
    while begun.elapsed() < ms(1_000) {
        match pool.get_timeout(ms(100)) {
            Ok(mut conn) => {
                let error = FakeError { call: Call::Query, fault: Fault::WrongRole };
                PooledConnection::report_error(&mut conn, &error);
            }
            Err(error) => told = Some(format!("{error:?}")),
        }
    }
    assert!(server.count(Call::Connect) <= 30, "{} attempts", server.count(Call::Connect));
    assert!(told.as_ref().is_some_and(|told| told.contains("does not have the required role")), "{told:?}");
    // An opening that outlasted the last request may have left an idle connection.
    server.assert_no_leaks(&pool);
}

#[test]
fn a_word_on_the_server_is_an_event_once_for_each_connection_and_stands_in_reports_as_long_as_it_holds() {
    let server = FakeServer::new();
    let recorder = server.recorder();
    let settings = builder().max_size(1).check_after(Duration::ZERO).event_handler(recorder.clone());
    let pool = settings.build_lazy(server.manager()).unwrap();
    drop(pool.get().unwrap());
    server.remark(Some("the server has been read-only for 12 s"));
    for _ in 0..3 {
        drop(pool.get().unwrap());
    }
    assert_eq!(recorder.count("remarked 1: the server has been read-only for 12 s"), 1);
    let told = report_of(&pool);
    assert!(told.contains("; the server has been read-only for 12 s, as of "), "{told}");
    server.remark(None);
    drop(pool.get().unwrap());
    let told = report_of(&pool);
    assert!(!told.contains("read-only"), "{told}");
    server.assert_no_leaks(&pool);
}

#[test]
fn a_word_on_one_server_outlasts_the_answers_of_another_and_ends_with_the_connection() {
    for ends_by in ["a check", "a discard"] {
        let server = FakeServer::new();
        let pool = idle_pool(&server, 2, Duration::ZERO);
        let mut held = hold(&pool, 2);
        held.sort_by_key(|conn| conn.id);
        server.remark_on(held[0].id, Some("the server has been read-only for 12 s"));
        drop(held.remove(0));
        held.insert(0, pool.get().unwrap());
        for _ in 0..2 {
            drop(held.pop());
            held.push(pool.get().unwrap());
            let told = pool.get_timeout(ms(1)).unwrap_err().to_string();
            assert!(told.contains("; the server has been read-only for 12 s, as of "), "{told}");
        }
        server.remark_on(held[0].id, None);
        match ends_by {
            "a check" => drop(held.remove(0)),
            _ => PooledConnection::discard(held.remove(0)),
        }
        held.push(pool.get().unwrap());
        let told = pool.get_timeout(ms(1)).unwrap_err().to_string();
        assert!(!told.contains("read-only"), "{ends_by}: {told}");
        drop(held);
        server.assert_no_leaks(&pool);
    }
}

/// The connect error in the report of a request that times out beside a loan that does not end.
fn report_of(pool: &Pool) -> String {
    let _held = pool.get().unwrap();
    pool.get_timeout(ms(1)).unwrap_err().to_string()
}

/// A pool with `size` idle connections.
fn idle_pool(server: &FakeServer, size: u32, check_after: Duration) -> Pool {
    server.allow(size as usize);
    let pool = builder().max_size(size).check_after(check_after).build_lazy(server.manager()).unwrap();
    drop(hold(&pool, size));
    pool
}
