//! The end of a pool: which waiters are woken, what is cancelled, and that no session is left.

use crate::cases::add;
use crate::subject::{Remote, Subject};
use cabrank::GetError;
use cabrank_testing::{NetworkFault, assert_closes_clean, eventually};
use integration_tests::{Case, figure};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn cases<S: Subject>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, close_wakes_all_who_wait);
    add!(cases, S, Server, close_within_cancels_what_runs_and_names_it);
    add!(cases, S, Server, a_dropped_pool_leaves_no_session);
}

pub(crate) fn remote_cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, close_within_ends_a_statement_at_the_server);
    add!(cases, S, Server, close_within_aborts_what_cannot_be_cancelled);
}

fn close_wakes_all_who_wait<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let held = pool.get().unwrap();
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| pool.get().map(drop))).collect();
        eventually("all three wait", || pool.stats().waiting == 3);
        let begun = Instant::now();
        pool.close();
        for waiter in waiting {
            assert!(matches!(waiter.join().unwrap(), Err(GetError::Closed)));
        }
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    });
    assert!(matches!(pool.get(), Err(GetError::Closed)));
    drop(held);
    eventually("no session is left", || subject.sessions() == 0);
    assert_closes_clean(&pool);
}

fn close_within_cancels_what_runs_and_names_it<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(2));
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            let mut conn = pool.get().unwrap();
            S::number(&mut conn, S::ENDLESS).map(drop)
        });
        eventually("it is lent", || pool.stats().in_use == 1);
        let begun = Instant::now();
        // For a second it is left alone, so it starts to run.
        let report = pool.close_within(CLOSING);
        assert!(begun.elapsed() < CLOSING + SOON, "{:?}", begun.elapsed());
        assert!(running.join().unwrap().is_err(), "it was cancelled");
        let named = report.cancelled.iter().chain(&report.aborted);
        assert!(named.map(|holder| holder.call_site.file()).all(|file| file.ends_with("closing.rs")));
        assert_eq!(report.cancelled.len() + report.aborted.len(), 1, "{report:?}");
    });
    eventually("no session is left", || subject.sessions() == 0);
    assert_closes_clean(&pool);
}

/// The statement ends at the server, too, not only in the client.
fn close_within_ends_a_statement_at_the_server<S: Remote>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(2));
    thread::scope(|scope| {
        let running = scope.spawn(|| S::number(&mut pool.get().unwrap(), S::ENDLESS).map(drop));
        eventually("the statement runs", || subject.running() == 1);
        let begun = Instant::now();
        let report = pool.close_within(CLOSING);
        let took = begun.elapsed();
        assert!(took < CLOSING + SOON, "{took:?}");
        running.join().unwrap().expect_err("it was cancelled");
        assert_eq!((report.cancelled.len(), report.aborted.len()), (1, 0), "{report:?}");
        assert!(report.cancelled[0].call_site.file().ends_with("closing.rs"));
        eventually("neither statement nor session is left", || subject.running() == 0 && subject.sessions() == 0);
        figure(format!("close_within({CLOSING:?}) took {} ms, 0 statements and 0 sessions left", took.as_millis()));
    });
}

/// A silent network does not pass the cancel on either.
fn close_within_aborts_what_cannot_be_cancelled<S: Remote>() {
    let subject = S::new();
    let proxy = subject.database().proxy().unwrap();
    let pool = subject.pool_by(subject.database().url_through(&proxy), |builder| builder.max_size(2));
    thread::scope(|scope| {
        let running = scope.spawn(|| S::number(&mut pool.get().unwrap(), S::SOME_SECONDS).map(drop));
        eventually("the statement runs", || subject.running() == 1);
        proxy.set(NetworkFault::StallBoth);
        let begun = Instant::now();
        let report = pool.close_within(Duration::from_millis(500));
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(500) + SOON, "{took:?}");
        running.join().unwrap().expect_err("it was aborted");
        assert_eq!(report.aborted.len(), 1, "{report:?}");
    });
    // The server notices it at the end of its statement.
    proxy.set(NetworkFault::None);
    drop(proxy);
    eventually("no session is left", || subject.sessions() == 0);
    assert_closes_clean(&pool);
}

fn a_dropped_pool_leaves_no_session<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.min_idle(3));
    eventually("the server has three sessions", || subject.sessions() == 3);
    let begun = Instant::now();
    drop(pool);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    eventually("no session is left", || subject.sessions() == 0);
}

/// Half a second of it is left for the holder after the pool has asked the server to cancel its statement.
const CLOSING: Duration = Duration::from_secs(2);
/// The limit, on a busy machine, for steps that need no time. The steps that they must not wait for last at least five seconds.
const SOON: Duration = Duration::from_secs(2);
