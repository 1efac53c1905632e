//! The ageing of connections: `max_lifetime`, its jitter, `idle_timeout`, `evict_all`, `keepalive`.

use crate::stale::pass;
use crate::support::{builder, closed_by, hold, ms};
use cabrank::{CloseReason, PooledConnection, WeakPool};
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeManager, FakeServer};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

#[test]
fn an_expired_connection_is_not_lent_and_not_kept() {
    let server = FakeServer::new();
    server.allow(2);
    let pool = builder().max_size(2).max_lifetime(ms(60)).lifetime_jitter(0.0).build_lazy(server.manager()).unwrap();

    // At return.
    let conn = pool.get().unwrap();
    pass(ms(65));
    let first = conn.id;
    drop(conn);
    assert_eq!(closed_by(&pool, CloseReason::Expired), 1, "at return");

    // In the background.
    drop(pool.get().unwrap());
    eventually("it is closed without a request", || closed_by(&pool, CloseReason::Expired) == 2);
    eventually("and gone", || server.live() == 0);

    // At check-out: no loan begins after the connection's end. It begins after the request, however late this thread continues.
    while closed_by(&pool, CloseReason::Expired) < 6 {
        let asked = Instant::now();
        let conn = pool.get().unwrap();
        let age = asked.saturating_duration_since(PooledConnection::opened_at(&conn));
        assert!(age < ms(60), "lent at the age of {age:?}");
        assert_ne!(conn.id, first);
    }
}

#[test]
fn a_loan_that_is_out_is_left_alone_when_its_connection_expires() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).max_lifetime(ms(10)).build_lazy(server.manager()).unwrap();
    let mut conn = pool.get().unwrap();
    pass(ms(30));
    conn.query().unwrap();
    assert_eq!(pool.stats().closed.total(), 0);
}

#[test]
fn lifetimes_are_spread_downward_so_that_what_was_opened_together_ends_apart() {
    let server = FakeServer::new();
    server.allow(64);
    let recorder = server.recorder();
    let pool = builder()
        .max_size(64)
        .max_lifetime(ms(1_000))
        .lifetime_jitter(0.8)
        .event_handler(recorder.clone())
        .build_lazy(server.manager())
        .unwrap();
    let opened = Instant::now();
    drop(hold(&pool, 64));
    let mut ends = Vec::new();
    eventually("all have ended", || {
        let closed = closed_by(&pool, CloseReason::Expired) as usize;
        ends.resize(closed, opened.elapsed());
        closed == 64
    });
    let (first, last) = (ends[0], ends[63]);
    assert!(first >= ms(200) - SCHEDULING, "the first ended after {first:?}");
    assert!(last <= ms(1_000) + crate::support::SLACK, "the last ended after {last:?}");
    let early = ends.iter().filter(|end| **end < ms(600)).count();
    assert!((10..=54).contains(&early), "{early} of 64 ended in the first half of the range");
}

#[test]
fn idle_connections_are_closed_after_the_idle_timeout_down_to_min_idle() {
    let server = FakeServer::new();
    server.allow(6);
    let pool = builder().max_size(6).min_idle(2).idle_timeout(ms(40)).build_lazy(server.manager()).unwrap();
    drop(hold(&pool, 6));
    eventually("four are closed", || closed_by(&pool, CloseReason::Idle) == 4);
    pass(ms(120));
    assert_eq!((closed_by(&pool, CloseReason::Idle), pool.stats().idle), (4, 2), "min_idle stays");
    assert_eq!(server.count(Call::Connect), 6, "nothing is closed and opened again");
}

#[test]
fn a_check_does_not_count_as_use() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).idle_timeout(ms(100)).keepalive(ms(10)).build_lazy(server.manager()).unwrap();
    drop(pool.get().unwrap());
    eventually("it is closed though it was kept alive", || closed_by(&pool, CloseReason::Idle) == 1);
    assert!(server.count(Call::Check) > 0);
}

#[test]
fn evict_all_closes_idle_ones_at_once_and_lent_ones_when_they_come_back() {
    let server = FakeServer::new();
    server.allow(3);
    let pool = builder().max_size(3).build_lazy(server.manager()).unwrap();
    let mut held = hold(&pool, 3);
    drop(held.pop());
    pool.evict_all();
    eventually("the idle one is gone", || server.live() == 2);
    assert_eq!(closed_by(&pool, CloseReason::Evicted), 1);
    held.iter_mut().for_each(|conn| conn.query().expect("a loan is left alone"));
    drop(held);
    eventually("the lent ones are gone", || server.live() == 0);
    assert_eq!(closed_by(&pool, CloseReason::Evicted), 3);
    assert!(pool.get().unwrap().id >= 3);
    server.assert_no_leaks(&pool);
}

#[test]
fn what_was_being_opened_or_checked_during_evict_all_does_not_survive_it() {
    use cabrank_testing::fake::Outcome;
    let server = FakeServer::new();
    server.allow(2);
    let pool = builder().max_size(2).check_after(Duration::ZERO).build_lazy(server.manager()).unwrap();
    for call in [Call::Connect, Call::Check, Call::Reset] {
        if call == Call::Reset {
            server.next(Call::Reset, Outcome::Never);
            pool.get().unwrap().litter();
        } else {
            server.next(call, Outcome::Never);
            assert!(pool.get_timeout(ms(5)).is_err());
        }
        eventually("it is under way", || server.now_in(call) == 1);
        let before = closed_by(&pool, CloseReason::Evicted);
        pool.evict_all();
        server.release(call);
        eventually("it is closed", || closed_by(&pool, CloseReason::Evicted) == before + 1);
        drop(pool.get().unwrap());
    }
}

#[test]
fn a_shrunk_pool_closes_idle_ones_now_and_lent_ones_as_they_come_back() {
    let server = FakeServer::new();
    server.allow(6);
    let pool = builder().max_size(6).build_lazy(server.manager()).unwrap();
    let mut held = hold(&pool, 6);
    held.truncate(4);
    pool.set_max_size(2).unwrap();
    eventually("the idle ones are gone", || server.live() == 4);
    held.truncate(1);
    eventually("lent ones are gone as they come back", || server.live() == 2);
    drop(held);
    assert_eq!(closed_by(&pool, CloseReason::Surplus), 4);
    server.assert_no_leaks(&pool);
}

#[test]
fn the_largest_pool_that_can_be_asked_for_is_kept_alive() {
    let server = FakeServer::new();
    let settings = builder().max_size(u32::MAX).min_idle(2).keepalive(ms(50)).check_after(Duration::MAX);
    let pool = settings.build(server.manager()).unwrap();
    eventually("idle connections are checked", || server.count(Call::Check) >= 3);
    drop(pool.get().unwrap());
}

/// The time that a thread may lose between two lines of a test.
const SCHEDULING: Duration = ms(50);

#[test]
fn a_weak_handle_keeps_no_pool_open_and_finds_it_as_long_as_it_is() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).build(server.manager()).unwrap();
    let weak = pool.downgrade();
    let again = weak.clone().upgrade().expect("it is there");
    drop(pool);
    drop(again.get().unwrap());
    assert!(format!("{weak:?}").contains("WeakPool(Some(Pool"), "{weak:?}");
    again.close();
    assert!(weak.upgrade().is_some_and(|pool| pool.is_closed()), "closed, and still there");
    drop(again);
    assert!(weak.upgrade().is_none());
    eventually("its connection is closed", || server.live() == 0);
}

#[test]
fn a_hook_with_a_weak_handle_of_its_own_pool_does_not_keep_it() {
    let server = FakeServer::new();
    let own: Arc<OnceLock<WeakPool<FakeManager>>> = Arc::default();
    let in_hook = Arc::clone(&own);
    let seen = Arc::new(AtomicUsize::new(0));
    let sees = Arc::clone(&seen);
    let pool = builder()
        .max_size(1)
        .on_open(move |_, _| {
            sees.fetch_add(usize::from(in_hook.get().and_then(WeakPool::upgrade).is_some()), Ordering::SeqCst);
            Ok(())
        })
        .build_lazy(server.manager())
        .unwrap();
    own.set(pool.downgrade()).unwrap();
    drop(pool.get().unwrap());
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    drop(pool);
    eventually("the pool is closed", || server.live() == 0);
    assert!(own.get().unwrap().upgrade().is_none());
}
