//! A wrong password, a corrected one, and one that changes while the pool is in use.

use super::load::Load;
use super::slack::Slack;
use super::whole::{is_over, is_whole};
use crate::cases::add;
use crate::subject::{Guard, Remote, SubjectPool};
use cabrank::{BuildError, GetError};
use cabrank_testing::{Proxy, eventually};
use integration_tests::{Case, figure};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use url::Url;

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, a_wrong_password_fails_the_build_at_once);
    add!(cases, S, Server, all_who_wait_learn_of_a_wrong_password_at_once);
    add!(cases, S, Server, a_password_corrected_at_the_server_is_found_within_two_seconds);
    add!(cases, S, Server, a_password_corrected_in_the_settings_is_found_within_two_seconds);
    add!(cases, S, Server, a_password_may_change_while_the_pool_is_used);
}

fn a_wrong_password_fails_the_build_at_once<S: Remote>() {
    let subject = S::new();
    let proxy = subject.database().proxy().unwrap();
    let (slack, begun) = (Slack::begin(), Instant::now());
    let built = subject.usual().build(S::manager_by(wrong(&subject, &proxy)));
    let took = begun.elapsed();
    let Err(BuildError::Connect(cause)) = built else { panic!("{built:?}") };
    assert!(took < Duration::from_secs(1) + slack.get(), "{took:?}");
    assert_eq!(proxy.counts().attempts.len(), 1);
    eventually("no session and no connection is left", || subject.sessions() == 0 && proxy.counts().open == 0);
    figure(format!("wrong password: build failed after {took:.0?} and 1 attempt: {}", said(&cause)));
}

fn all_who_wait_learn_of_a_wrong_password_at_once<S: Remote>() {
    let subject = S::new();
    let proxy = subject.database().proxy().unwrap();
    let pool = lazy(&subject, wrong(&subject, &proxy));
    let begun = Instant::now();
    let longest = twenty_fail::<S>(&pool);
    // After that no request waits, and the next attempt follows one second later, and another not before two more: servers lock accounts
    // after a few wrong passwords.
    while begun.elapsed() < COUNTED {
        twenty_fail::<S>(&pool);
        thread::sleep(Duration::from_millis(50));
    }
    let attempts: Vec<Duration> =
        proxy.counts().attempts.iter().map(|&at| at - begun).filter(|&at| at < COUNTED).collect();
    let at_first = attempts.iter().filter(|&&at| at < Duration::from_secs(1)).count();
    assert!(at_first <= 10, "{at_first} attempts before the first had failed");
    assert!(attempts.len() <= at_first + 1, "{attempts:?}");
    is_over(&subject, &pool);
    eventually("no connection is left", || proxy.counts().open == 0);
    figure(format!(
        "wrong password: 20 threads refused within {longest:.0?}, {} attempts in {COUNTED:?}, 0 sessions left",
        attempts.len()
    ));
}

fn a_password_corrected_at_the_server_is_found_within_two_seconds<S: Remote>() {
    let subject = S::new();
    let pool = lazy(&subject, subject.database().with_password(subject.database().url(), WRONG));
    twenty_fail::<S>(&pool);
    subject.database().set_password(WRONG).unwrap();
    is_found(&subject, &pool, "at the server");
}

fn a_password_corrected_in_the_settings_is_found_within_two_seconds<S: Remote>() {
    let subject = S::new();
    let right = subject.database().url();
    let url = Arc::new(Mutex::new(subject.database().with_password(right.clone(), WRONG)));
    let asked = url.clone();
    let pool = subject.usual().build_lazy(S::manager_asking(move || asked.lock().unwrap().clone())).unwrap();
    subject.watch().expect("it has a server").allow(10);
    twenty_fail::<S>(&pool);
    *url.lock().unwrap() = right;
    is_found(&subject, &pool, "in the settings");
}

fn is_found<S: Remote>(subject: &S, pool: &SubjectPool<S>, place: &str) {
    let (slack, corrected) = (Slack::begin(), Instant::now());
    let mut conn = loop {
        match pool.get() {
            Ok(conn) => break conn,
            Err(GetError::Connect(_)) => thread::sleep(Duration::from_millis(10)),
            Err(error) => panic!("{error:?}"),
        }
    };
    assert_eq!(S::number(&mut conn, "SELECT 7").unwrap(), 7);
    let took = corrected.elapsed();
    assert!(took < Duration::from_secs(2) + slack.get(), "{took:?}");
    drop(conn);
    is_whole(subject, pool);
    figure(format!("password corrected {place}: first success after {took:.1?}, 0 sessions left"));
}

/// As an administrator would: first the server, then the settings, then evict the connections with the old password. In between a session
/// ends, so the pool meets the new password before it has it.
fn a_password_may_change_while_the_pool_is_used<S: Remote>() {
    let subject = S::new();
    let url = Arc::new(Mutex::new(subject.database().url()));
    let asked = url.clone();
    let pool = subject.build(S::manager_asking(move || asked.lock().unwrap().clone()), |builder| builder.max_size(8));
    let load = Load::on::<S>(&pool, 16);
    load.warm_up();
    drop((0..8).map(|_| pool.get().unwrap()).collect::<Vec<Guard<S>>>());
    subject.database().set_password("second").unwrap();
    subject.kill(&subject.database().sessions().unwrap()[..1]);
    eventually("openings have failed", || pool.stats().open_failures > 0);
    let new = subject.database().with_password(subject.database().url(), "second");
    *url.lock().unwrap() = new;
    pool.evict_all();
    let before = pool.stats().opened;
    let changed = Instant::now();
    load.go_on_from(changed);
    eventually("one more is open", || pool.stats().opened > before);
    let record = load.stop();
    record.is_within(1);
    is_whole(&subject, &pool);
    figure(format!(
        "password changed under load, and 1 session killed: failed gets 0, failed queries {}, longest get {:.0?}, 0 sessions left",
        record.failed_queries.len(),
        record.longest_get,
    ));
}

/// Twenty threads request a connection at once and are refused with the cause. Returns how long the last of them waited.
fn twenty_fail<S: Remote>(pool: &SubjectPool<S>) -> Duration {
    let (slack, begun) = (Slack::begin(), Instant::now());
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let Err(GetError::Connect(cause)) = pool.get().map(drop) else { panic!("the password is wrong") };
                let said = said(&cause);
                assert!(REFUSALS.iter().any(|text| said.contains(text)), "{said}");
            });
        }
    });
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1) + slack.get(), "{took:?}");
    took
}

fn lazy<S: Remote>(subject: &S, url: Url) -> SubjectPool<S> {
    subject.watch().expect("it has a server").allow(10);
    subject.usual().build_lazy(S::manager_by(url)).unwrap()
}

fn wrong<S: Remote>(subject: &S, proxy: &Proxy) -> Url {
    subject.database().with_password(subject.database().url_through(proxy), WRONG)
}

/// An error with all its sources.
fn said(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

const COUNTED: Duration = Duration::from_millis(2_500);
const WRONG: &str = "not this one";

/// The answers of PostgreSQL, MySQL and MariaDB to a wrong password.
const REFUSALS: [&str; 2] = ["password authentication failed", "Access denied"];
