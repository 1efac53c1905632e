//! More borrowers than connections: how long each waits, which error each gets, and how many sessions the server sees.

use crate::cases::add;
use crate::subject::{Guard, Subject};
use crate::watch::Watch;
use cabrank::GetError;
use cabrank_testing::{assert_closes_clean, assert_no_leaks, eventually};
use integration_tests::Case;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn cases<S: Subject>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, twelve_who_want_ten);
    add!(cases, S, Server, waiters_are_served_in_the_order_of_their_arrival);
    add!(cases, S, Server, one_waiter_too_many_is_refused_at_once);
    add!(cases, S, Server, a_get_within_a_loan_is_named);
    add!(cases, S, Server, the_server_never_sees_more_sessions_than_max_size);
}

/// Ten are served, and two wait for exactly their time-out and get an error that names the holders of the ten; then all is well again.
fn twelve_who_want_ten<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(10));
    let held: Vec<Guard<S>> = (0..10).map(|_| pool.get().unwrap()).collect();
    assert_eq!(subject.sessions(), 10);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let (begun, limit) = (Instant::now(), Duration::from_millis(500));
                let error = pool.get_timeout(limit).unwrap_err();
                let waited = begun.elapsed();
                assert!(waited >= limit && waited < limit + SOON, "{waited:?}");
                let GetError::Timeout(report) = error else { panic!("{error}") };
                assert_eq!((report.stats.in_use, report.stats.max_size, report.holders.len()), (10, 10, 10));
                let named = report.holders.iter().filter(|holder| holder.call_site.file().ends_with("exhaustion.rs"));
                assert_eq!(named.count(), 10);
            });
        }
    });
    drop(held);
    assert_eq!(S::number(&mut pool.get().unwrap(), "SELECT 7").unwrap(), 7);
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.waiting, stats.timed_out), (0, 0, 2));
    assert_eq!(subject.sessions(), 10, "nothing was lost and nothing added");
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

fn waiters_are_served_in_the_order_of_their_arrival<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let (held, served) = (pool.get().unwrap(), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for number in 0..6 {
            let (pool, served) = (&pool, &served);
            scope.spawn(move || {
                let _conn = pool.get().unwrap();
                served.lock().unwrap().push(number);
            });
            eventually("it waits", || pool.stats().waiting == number + 1);
        }
        drop(held);
    });
    assert_eq!(served.into_inner().unwrap(), [0, 1, 2, 3, 4, 5]);
}

fn one_waiter_too_many_is_refused_at_once<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1).max_waiters(1));
    let held = pool.get().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| drop(pool.get().unwrap()));
        eventually("it waits", || pool.stats().waiting == 1);
        let begun = Instant::now();
        assert!(matches!(pool.get(), Err(GetError::Overloaded(_))));
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        drop(held);
        waiting.join().unwrap();
    });
}

fn a_get_within_a_loan_is_named<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let _held = pool.get().unwrap();
    let Err(GetError::Timeout(report)) = pool.get_timeout(Duration::from_millis(50)) else { panic!("it is lent") };
    assert_eq!(report.held_by_this_thread, 1);
}

/// Sixteen threads on four connections, some of which are discarded, while another thread counts from outside.
fn the_server_never_sees_more_sessions_than_max_size<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(4));
    let (done, pool) = (AtomicBool::new(false), &pool);
    thread::scope(|scope| {
        let (subject, done) = (&subject, &done);
        let sampler = scope.spawn(move || {
            let mut peak = 0;
            while !done.load(Ordering::Relaxed) {
                // A server has a watch that counts all the time.
                peak = peak.max(subject.watch().map_or_else(|| subject.sessions(), Watch::peak));
                thread::sleep(Duration::from_millis(1));
            }
            peak
        });
        let workers: Vec<_> = (0..16)
            .map(|worker| {
                scope.spawn(move || {
                    for round in 0..40 {
                        let mut conn = pool.get().unwrap();
                        assert_eq!(S::number(&mut conn, "SELECT 7").unwrap(), 7);
                        if (worker + round) % 8 == 0 {
                            Guard::<S>::discard(conn);
                        }
                    }
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        done.store(true, Ordering::Relaxed);
        let peak = sampler.join().unwrap();
        assert!((1..=4).contains(&peak), "{peak}");
    });
    assert_eq!(pool.stats().in_use, 0);
    assert_no_leaks(pool);
    assert_closes_clean(pool);
}

/// The limit, on a busy machine, for steps that need no time. By default a `get` would wait for ten seconds.
const SOON: Duration = Duration::from_secs(2);
