//! Connections that grow too old or lie idle too long.

use std::{
    thread,
    time::{Duration, Instant},
};

use cabrank::CloseReason;
use integration_tests::Case;

use crate::{
    cases::{add, eventually},
    subject::{Guard, Subject},
};

pub(crate) fn cases<S: Subject>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, an_old_connection_is_closed_in_the_background);
    add!(cases, S, Server, an_old_connection_is_closed_when_it_is_returned);
    add!(cases, S, Server, borrowers_never_meet_an_old_connection);
    add!(cases, S, Server, idle_connections_are_closed_down_to_min_idle);
}

const LIFETIME: Duration = Duration::from_millis(300);

fn an_old_connection_is_closed_in_the_background<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_lifetime(LIFETIME).lifetime_jitter(0.0));
    drop(pool.get().unwrap());
    assert_eq!(subject.sessions(), 1);
    eventually(|| pool.stats().closed.by(CloseReason::Expired) == 1 && subject.sessions() == 0);
}

fn an_old_connection_is_closed_when_it_is_returned<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1).max_lifetime(LIFETIME).lifetime_jitter(0.0));
    let mut conn = pool.get().unwrap();
    thread::sleep(LIFETIME);
    assert_eq!(S::number(&mut conn, "SELECT 7").unwrap(), 7, "nobody takes it from its borrower");
    let old = Guard::<S>::id(&conn);
    drop(conn);
    assert_ne!(Guard::<S>::id(&pool.get().unwrap()), old);
    assert!(pool.stats().closed.by(CloseReason::Expired) >= 1);
}

fn borrowers_never_meet_an_old_connection<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(2).max_lifetime(LIFETIME).lifetime_jitter(0.5));
    let begun = Instant::now();
    while begun.elapsed() < LIFETIME * 4 {
        let mut conn = pool.get().unwrap();
        assert!(Guard::<S>::opened_at(&conn).elapsed() <= LIFETIME + Duration::from_millis(20));
        assert_eq!(S::number(&mut conn, "SELECT 7").unwrap(), 7);
    }
    assert!(pool.stats().closed.by(CloseReason::Expired) >= 3);
}

fn idle_connections_are_closed_down_to_min_idle<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.min_idle(2).idle_timeout(LIFETIME));
    let held: Vec<Guard<S>> = (0..5).map(|_| pool.get().unwrap()).collect();
    drop(held);
    eventually(|| subject.sessions() == 2);
    thread::sleep(LIFETIME * 2);
    assert_eq!(subject.sessions(), 2, "never below min_idle");
}
