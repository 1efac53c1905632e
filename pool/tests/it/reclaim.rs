//! A delivery to a task that is not polled goes to the next waiter, and the task keeps its place.

use crate::polling::{Flag, poll};
use crate::support::{Pool, SLACK, builder, hold, ms};
use cabrank::{GetError, PooledConnection};
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use cabrank_testing::{eventually, timed};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_future_that_is_not_polled_loses_its_connection_and_keeps_its_place() {
    let server = FakeServer::new();
    server.allow(1);
    let pool = builder().max_size(1).reclaim_after(ms(300)).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 1);
    let (flag, other) = (Arc::new(Flag::default()), Arc::new(Flag::default()));
    let (mut sleeper, mut last) = (pool.get_async(), pool.get_async());
    assert!(poll(&mut sleeper, &flag).is_pending());
    thread::scope(|scope| {
        let next = scope.spawn(|| timed(|| pool.get().unwrap()));
        eventually("the next waits", || pool.stats().waiting == 2);
        assert!(poll(&mut last, &other).is_pending());
        drop(held);
        assert_eq!(flag.woken(), 1);
        let (conn, took) = next.join().unwrap();
        assert!(took >= ms(300) && took < ms(300) + SLACK, "{took:?}");

        // It comes back, in front of the last.
        assert_eq!(pool.stats().waiting, 1);
        assert!(poll(&mut sleeper, &flag).is_pending());
        assert_eq!(pool.stats().waiting, 2);
        drop(conn);
        assert_eq!((flag.woken(), other.woken()), (2, 0));
        let Poll::Ready(Ok(conn)) = poll(&mut sleeper, &flag) else { panic!("it was woken for nothing") };
        drop(conn);
        assert!(matches!(poll(&mut last, &other), Poll::Ready(Ok(_))));
    });
    let stats = pool.stats();
    assert_eq!((stats.rejected_at_checkout, stats.timed_out, stats.cancelled), (1, 0, 0));
    server.assert_no_leaks(&pool);
}

#[test]
fn one_that_was_not_polled_can_be_dropped_closed_and_time_out() {
    let server = FakeServer::new();
    server.allow(1);
    let pool = builder().max_size(1).reclaim_after(ms(10)).build_lazy(server.manager()).unwrap();
    let flag = Arc::new(Flag::default());
    let held = hold(&pool, 1);
    let mut futures = [(); 3].map(|()| pool.get_async_timeout(ms(500)));
    futures.iter_mut().for_each(|future| assert!(poll(future, &flag).is_pending()));
    drop(held);
    eventually("each was given it, and lost it", || pool.stats().rejected_at_checkout == 3);
    assert_eq!((pool.stats().waiting, pool.stats().idle), (0, 1));
    let [dropped, mut late, mut closed] = futures;
    drop(dropped);
    let begun = Instant::now();
    eventually("its time is over", || begun.elapsed() > ms(550));
    // An idle connection also serves a task that is polled late, as it would a thread.
    assert!(matches!(poll(&mut late, &flag), Poll::Ready(Ok(_))));
    pool.close();
    assert!(matches!(poll(&mut closed, &flag), Poll::Ready(Err(GetError::Closed))));
    server.assert_closes_clean(&pool);
}

#[test]
fn closing_wakes_all_with_closed_and_takes_back_what_nobody_came_for() {
    let server = FakeServer::new();
    server.allow(2);
    let pool = builder().max_size(2).reclaim_after(Duration::from_secs(60)).build_lazy(server.manager()).unwrap();
    let mut held = hold(&pool, 2);
    let flag = Arc::new(Flag::default());
    let mut futures = [(); 4].map(|()| pool.get_async());
    futures.iter_mut().for_each(|future| assert!(poll(future, &flag).is_pending()));
    drop(held.pop());
    assert_eq!((flag.woken(), pool.stats().in_use), (1, 2), "one was delivered");
    pool.close();
    assert_eq!((flag.woken(), pool.stats().in_use), (4, 1), "three were woken, and what was delivered is taken back");
    for future in &mut futures {
        assert!(matches!(poll(future, &flag), Poll::Ready(Err(GetError::Closed))));
    }
    drop(held);
    server.assert_closes_clean(&pool);
}

#[test]
fn no_waker_is_touched_under_the_lock() {
    type Pool = crate::support::Pool;
    static POOL: Mutex<Option<Pool>> = Mutex::new(None);
    fn look() {
        let pool = POOL.lock().unwrap().clone();
        if let Some(pool) = pool {
            assert!(pool.stats().max_size > 0);
        }
    }
    struct Curious;
    static WOKEN: AtomicUsize = AtomicUsize::new(0);
    impl Wake for Curious {
        fn wake(self: Arc<Self>) {
            WOKEN.fetch_add(1, Ordering::Relaxed);
            look();
        }
    }
    impl Drop for Curious {
        fn drop(&mut self) {
            look();
        }
    }
    let server = FakeServer::new();
    server.allow(1);
    let pool = builder().max_size(1).reclaim_after(ms(10)).build_lazy(server.manager()).unwrap();
    *POOL.lock().unwrap() = Some(pool.clone());
    let curious = || Waker::from(Arc::new(Curious));
    for round in 0..50 {
        let held = hold(&pool, 1);
        let mut futures = [(); 3].map(|()| Box::pin(pool.get_async_timeout(ms(30))));
        for future in &mut futures {
            // Each poll has its own waker, which is dropped at the next.
            for _ in 0..2 {
                assert!(future.as_mut().poll(&mut Context::from_waker(&curious())).is_pending());
            }
        }
        let before = WOKEN.load(Ordering::Relaxed);
        match round % 3 {
            0 => drop(held),
            1 => eventually("their deadlines wake them", || WOKEN.load(Ordering::Relaxed) >= before + 3),
            _ => pool.evict_all(),
        }
        drop(futures);
    }
    *POOL.lock().unwrap() = None;
    server.assert_no_leaks(&pool);
}

#[test]
fn one_that_dies_before_it_is_collected_sends_its_task_back_to_its_old_place() {
    let server = FakeServer::new();
    server.allow(1);
    // The test's thread may be suspended; its tasks must not lose their deliveries then.
    let pool = builder().max_size(1).reclaim_after(Duration::MAX).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 1);
    let (flag, other) = (Arc::new(Flag::default()), Arc::new(Flag::default()));
    let (mut first, mut second) = (pool.get_async(), pool.get_async());
    assert!(poll(&mut first, &flag).is_pending() && poll(&mut second, &other).is_pending());
    drop(held);
    assert_eq!(flag.woken(), 1);
    server.next(Call::HasBroken, Outcome::Err(cabrank::Fault::Fatal));
    server.allow(2);
    // Between two looks it is not in the queue: none is opened until it is back.
    server.next(Call::Connect, Outcome::Never);
    assert!(poll(&mut first, &flag).is_pending(), "it is dead");
    eventually("one is being opened", || server.now_in(Call::Connect) == 1);
    server.release(Call::Connect);
    eventually("there is another", || flag.woken() == 2);
    assert_eq!(other.woken(), 0);
    let Poll::Ready(Ok(conn)) = poll(&mut first, &flag) else { panic!("it was woken for nothing") };
    drop(conn);
    assert!(matches!(poll(&mut second, &other), Poll::Ready(Ok(_))));
    assert_eq!(pool.stats().rejected_at_checkout, 1);
    server.assert_no_leaks(&pool);
}

/// A thread collects its delivery within microseconds; a task may take its time.
#[test]
fn what_is_collected_late_is_looked_at_as_at_any_checkout() {
    type Spoil = fn(&Pool);
    let evicted: Spoil = |pool| pool.evict_all();
    let expired: Spoil = |pool| {
        let begun = Instant::now();
        eventually("its life is over", || begun.elapsed() > ms(60) && pool.stats().in_use == 1);
    };
    for spoil in [evicted, expired] {
        let server = FakeServer::new();
        server.allow(1);
        let settings = builder().max_size(1).reclaim_after(Duration::MAX).max_lifetime(ms(50)).lifetime_jitter(0.0);
        let pool = settings.build_lazy(server.manager()).unwrap();
        let flag = Arc::new(Flag::default());
        let held = hold(&pool, 1);
        let mut future = pool.get_async();
        assert!(poll(&mut future, &flag).is_pending());
        drop(held);
        eventually("it is delivered", || flag.woken() > 0);
        spoil(&pool);
        // It keeps its old place until another connection is open.
        let mut conn = None;
        eventually("it is served", || {
            if let Poll::Ready(answer) = poll(&mut future, &flag) {
                conn = Some(answer.unwrap());
            }
            conn.is_some()
        });
        assert_ne!(PooledConnection::id(&conn.unwrap()), 1, "it must not be lent again");
    }
}
