//! The end of a pool: who is woken, what is cancelled, and that no session is left.

use std::{
    thread,
    time::{Duration, Instant},
};

use cabrank::GetError;
use integration_tests::Case;

use crate::{
    cases::{add, eventually},
    subject::Subject,
};

pub(crate) fn cases<S: Subject>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, close_wakes_all_who_wait);
    add!(cases, S, Server, close_within_cancels_what_runs_and_names_it);
    add!(cases, S, Server, a_dropped_pool_leaves_no_session);
}

fn close_wakes_all_who_wait<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let held = pool.get().unwrap();
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| pool.get().map(drop))).collect();
        eventually(|| pool.stats().waiting == 3);
        let begun = Instant::now();
        pool.close();
        for waiter in waiting {
            assert!(matches!(waiter.join().unwrap(), Err(GetError::Closed)));
        }
        assert!(begun.elapsed() < Duration::from_millis(250));
    });
    assert!(matches!(pool.get(), Err(GetError::Closed)));
    drop(held);
    eventually(|| subject.sessions() == 0);
}

fn close_within_cancels_what_runs_and_names_it<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(2));
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            let mut conn = pool.get().unwrap();
            S::number(&mut conn, S::ENDLESS).map(drop)
        });
        eventually(|| pool.stats().in_use == 1);
        // It is under way.
        thread::sleep(Duration::from_millis(100));
        let begun = Instant::now();
        let report = pool.close_within(Duration::from_millis(500));
        assert!(begun.elapsed() < Duration::from_millis(750));
        assert!(running.join().unwrap().is_err(), "it was cancelled");
        let named = report.cancelled.iter().chain(&report.severed);
        assert!(named.map(|holder| holder.call_site.file()).all(|file| file.ends_with("closing.rs")));
        assert_eq!(report.cancelled.len() + report.severed.len(), 1, "{report:?}");
    });
    eventually(|| subject.sessions() == 0);
}

fn a_dropped_pool_leaves_no_session<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.min_idle(3));
    eventually(|| subject.sessions() == 3);
    let begun = Instant::now();
    drop(pool);
    assert!(begun.elapsed() < Duration::from_millis(250));
    eventually(|| subject.sessions() == 0);
}
