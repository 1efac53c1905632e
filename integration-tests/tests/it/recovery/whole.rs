//! Assertions for the end of each test: neither a slot nor a session was lost, in the pool and at the server.

use crate::subject::{Guard, Remote, SubjectPool};
use cabrank_testing::{assert_closes_clean, assert_no_leaks, eventually};
use std::collections::HashSet;
use std::time::Duration;

/// Asserts that all connections can be lent at once, that the server has as many sessions, and that the closed pool leaves none.
pub(crate) fn is_whole<S: Remote>(subject: &S, pool: &SubjectPool<S>) {
    let max_size = pool.stats().max_size;
    let mut all: Vec<Guard<S>> = (0..max_size).map(|_| pool.get().expect("a connection in each slot")).collect();
    let who: HashSet<i64> = all.iter_mut().map(|conn| S::number(conn, S::WHO).expect("an answer")).collect();
    assert_eq!(who.len(), max_size as usize, "each has a session of its own");
    eventually("each has a session", || subject.sessions() == max_size as usize);
    drop(all);
    assert_no_leaks(pool);
    eventually("nothing is under way", || {
        let stats = pool.stats();
        let busy = stats.opening + stats.checking + stats.resetting + stats.closing + stats.in_use + stats.waiting;
        (busy, stats.aborted, stats.abandoned, stats.stuck) == (0, 0, 0, 0)
    });
    let stats = pool.stats();
    assert_eq!((stats.open, stats.idle), (max_size, max_size), "{stats:?}");
    is_over(subject, pool);
}

/// Asserts that the closed pool leaves nothing.
pub(crate) fn is_over<S: Remote>(subject: &S, pool: &SubjectPool<S>) {
    let report = pool.close_within(Duration::from_secs(5));
    assert!(report.is_clean(), "{report}");
    let stats = pool.stats();
    assert_eq!(stats.opened, stats.closed.total(), "{stats:?}");
    let lent = stats.checked_out_at_once + stats.checked_out_after_waiting;
    assert_eq!(lent, stats.returned + stats.rejected_at_checkout, "{stats:?}");
    assert_closes_clean(pool);
    eventually("no session is left", || subject.sessions() == 0);
}
