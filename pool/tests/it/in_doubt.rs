//! A connection that must not be used again, and may be dead: a worker checks it, and the answer determines whether the others are under
//! suspicion.

use crate::support::{builder, closed_by, hold};
use cabrank::{CloseReason, SessionState};
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use std::time::Duration;

#[test]
fn where_the_server_answers_it_costs_its_connection_and_no_doubt() {
    let server = FakeServer::new();
    // A pause or a doubt would show: no borrower waits that long, and each check is counted.
    let settings = builder().max_size(3).check_after(Duration::MAX).backoff(LONG, LONG);
    let pool = settings.build_lazy(server.manager()).unwrap();
    for round in 1..=100 {
        let mut held = hold(&pool, 3);
        let mut conn = held.pop().unwrap();
        conn.session = SessionState::InDoubt;
        drop(held);
        drop(conn);
        eventually("it is closed", || closed_by(&pool, CloseReason::BeyondReset) == round);
    }
    drop(hold(&pool, 3));
    assert_eq!(server.count(Call::Check), 100, "the others are not checked");
    eventually("the last is closed", || server.count(Call::Close) == 100);
    let stats = pool.stats();
    assert_eq!((stats.opened, stats.open_failures, stats.timed_out), (103, 0, 0));
    assert_eq!((server.count(Call::Reset), server.count(Call::Abort)), (0, 0));
    server.assert_no_leaks(&pool);
    server.assert_closes_clean(&pool);
}

#[test]
fn one_that_is_dead_puts_the_others_under_suspicion() {
    let server = FakeServer::new();
    let pool = builder().max_size(4).check_after(Duration::MAX).build_lazy(server.manager()).unwrap();
    let mut held = hold(&pool, 4);
    let mut conn = held.pop().unwrap();
    drop(held);
    server.kill_sessions();
    conn.session = SessionState::InDoubt;
    drop(conn);
    eventually("it is closed", || closed_by(&pool, CloseReason::Broken) == 1);
    pool.get().unwrap().query().expect("no dead connection is lent");
    assert_eq!(closed_by(&pool, CloseReason::CheckFailed), 3);
    server.assert_no_leaks(&pool);
}

#[test]
fn until_the_answer_is_there_the_others_are_checked_before_their_loans() {
    let server = FakeServer::new();
    let pool = builder().max_size(8).check_after(Duration::MAX).build_lazy(server.manager()).unwrap();
    let mut held = hold(&pool, 8);
    let mut conn = held.pop().unwrap();
    drop(held);
    server.next(Call::Check, Outcome::Never);
    conn.session = SessionState::InDoubt;
    drop(conn);
    eventually("it is being checked", || server.now_in(Call::Check) == 1);
    drop(pool.get().unwrap());
    eventually("no other is being checked", || server.now_in(Call::Check) == 1);
    let asked = server.count(Call::Check);
    assert!((2..=4).contains(&asked), "{asked} were checked");
    server.release(Call::Check);
    eventually("it is closed", || closed_by(&pool, CloseReason::BeyondReset) == 1);
    drop(hold(&pool, 8));
    // Six were not checked. The new one may be: on a busy machine the check is given up as lost, and a new connection settles the doubt.
    let more = server.count(Call::Check) - asked;
    assert!(more <= 1, "{more} more were checked");
    server.assert_no_leaks(&pool);
}

const LONG: Duration = Duration::from_secs(60);
