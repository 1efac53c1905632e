//! Connections that grow too old or lie idle too long.

use crate::cases::add;
use crate::subject::{Guard, Remote, Subject};
use cabrank::CloseReason;
use cabrank_testing::eventually;
use integration_tests::Case;
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn cases<S: Subject>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, an_old_connection_is_closed_in_the_background);
    add!(cases, S, Server, an_old_connection_is_closed_when_it_is_returned);
    add!(cases, S, Server, borrowers_never_meet_an_old_connection);
    add!(cases, S, Server, idle_connections_are_closed_down_to_min_idle);
}

pub(crate) fn remote_cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, lifetimes_end_apart_at_the_server);
    add!(cases, S, Server, the_servers_own_idle_limit_goes_unnoticed);
    add!(cases, S, Server, keepalive_outwits_the_servers_idle_limit);
}

const LIFETIME: Duration = Duration::from_millis(300);

fn an_old_connection_is_closed_in_the_background<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_lifetime(LIFETIME).lifetime_jitter(0.0));
    assert_eq!(S::number(&mut pool.get().unwrap(), "SELECT 7").unwrap(), 7);
    eventually("it is closed, and gone at the server", || {
        pool.stats().closed.by(CloseReason::Expired) == 1 && subject.sessions() == 0
    });
}

fn an_old_connection_is_closed_when_it_is_returned<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1).max_lifetime(LIFETIME).lifetime_jitter(0.0));
    let mut conn = pool.get().unwrap();
    thread::sleep(LIFETIME);
    assert_eq!(S::number(&mut conn, "SELECT 7").unwrap(), 7, "its borrower keeps it");
    let old = Guard::<S>::id(&conn);
    drop(conn);
    assert_ne!(Guard::<S>::id(&pool.get().unwrap()), old);
    assert!(pool.stats().closed.by(CloseReason::Expired) >= 1);
}

fn borrowers_never_meet_an_old_connection<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(2).max_lifetime(LIFETIME).lifetime_jitter(0.5));
    while pool.stats().closed.by(CloseReason::Expired) < 6 {
        // The loan begins after the request, however late this thread continues.
        let asked = Instant::now();
        let mut conn = pool.get().unwrap();
        let age = asked.saturating_duration_since(Guard::<S>::opened_at(&conn));
        assert!(age < LIFETIME, "lent at the age of {age:?}");
        assert_eq!(S::number(&mut conn, "SELECT 7").unwrap(), 7);
    }
}

fn idle_connections_are_closed_down_to_min_idle<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.min_idle(2).idle_timeout(LIFETIME));
    let held: Vec<Guard<S>> = (0..5).map(|_| pool.get().unwrap()).collect();
    drop(held);
    eventually("the server has two sessions", || subject.sessions() == 2);
    thread::sleep(LIFETIME * 2);
    assert_eq!(subject.sessions(), 2, "never below min_idle");
}

/// Ten connections opened together do not expire together.
fn lifetimes_end_apart_at_the_server<S: Remote>() {
    let subject = S::new();
    let lifetime = Duration::from_secs(2);
    let pool = subject.pool(|builder| builder.max_size(10).max_lifetime(lifetime).lifetime_jitter(0.5));
    let begun = Instant::now();
    drop((0..10).map(|_| pool.get().unwrap()).collect::<Vec<_>>());
    let opened = begun.elapsed();
    eventually("the first is gone", || subject.sessions() < 10);
    let first = begun.elapsed();
    eventually("no session is left", || subject.sessions() == 0);
    let last = begun.elapsed();
    assert!(first >= lifetime / 2 && last <= opened + lifetime + Duration::from_secs(2), "{first:?} to {last:?}");
    assert!(last - first > lifetime / 10, "{first:?} to {last:?}");
    assert_eq!(pool.stats().closed.by(CloseReason::Expired), 10);
}

/// Idle for shorter and for longer than the server permits: no borrower ever gets a dead session.
fn the_servers_own_idle_limit_goes_unnoticed<S: Remote>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(2).on_open(|conn, _| S::execute(conn, S::IDLE_LIMIT)));
    let mut sessions = BTreeSet::new();
    for pause in [500, 1_200, 2_500, 3_000] {
        for mut conn in [pool.get().unwrap(), pool.get().unwrap()] {
            sessions.insert(S::number(&mut conn, S::WHO).expect("a session that lives"));
        }
        thread::sleep(Duration::from_millis(pause));
    }
    assert_eq!(S::number(&mut pool.get().unwrap(), "SELECT 7").unwrap(), 7);
    assert!(sessions.len() >= 4, "the server has ended some: {sessions:?}");
    assert_eq!(pool.stats().timed_out, 0);
}

fn keepalive_outwits_the_servers_idle_limit<S: Remote>() {
    let subject = S::new();
    let pool = subject.pool(|builder| {
        let limited = builder.max_size(1).on_open(|conn, _| S::execute(conn, S::IDLE_LIMIT));
        limited.keepalive(Duration::from_millis(500))
    });
    let session = S::number(&mut pool.get().unwrap(), S::WHO).unwrap();
    thread::sleep(Duration::from_secs(3));
    assert_eq!(S::number(&mut pool.get().unwrap(), S::WHO).unwrap(), session);
}
