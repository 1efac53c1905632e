//! Waiting without a thread: tasks stand in the queue as threads do, keep their deadlines without a runtime, and hold nothing that they
//! do not come for.

use crate::support::{SLACK, builder, hold, ms, pool_of};
use cabrank::{GetAsync, GetError, RefusalReason};
use cabrank_testing::fake::{Call, FakeManager, FakeServer, Outcome};
use cabrank_testing::{Recorder, eventually, timed};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// A task of which a test polls what it likes, when it likes. Counts how often it was woken.
#[derive(Default)]
struct Flag(AtomicUsize);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Flag {
    fn woken(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

type Future<'p> = GetAsync<'p, FakeManager>;
type Polled = Poll<Result<cabrank::PooledConnection<FakeManager>, GetError<cabrank_testing::fake::FakeError>>>;

fn poll(future: &mut Future<'_>, flag: &Arc<Flag>) -> Polled {
    Future::poll(Pin::new(future), &mut Context::from_waker(&Waker::from(Arc::clone(flag))))
}

#[test]
fn what_is_idle_is_lent_at_once_and_what_is_not_wakes_the_task() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let (mut first, mut second) = (pool.get_async(), pool.get_async());
    let flag = Arc::new(Flag::default());
    assert!(poll(&mut first, &flag).is_pending(), "nothing is open yet");
    eventually("it is woken", || flag.woken() == 1);
    let Poll::Ready(Ok(held)) = poll(&mut first, &flag) else { panic!("it was woken for nothing") };
    assert!(poll(&mut second, &flag).is_pending());
    assert_eq!((pool.stats().waiting, flag.woken()), (1, 1));
    drop(held);
    assert_eq!(flag.woken(), 2);
    let Poll::Ready(Ok(held)) = poll(&mut second, &flag) else { panic!("it was woken for nothing") };
    drop(held);
    let Poll::Ready(Ok(held)) = poll(&mut pool.get_async(), &flag) else { panic!("one is idle") };
    assert!(pool.holders()[0].call_site.file().ends_with("tasks.rs"));
    drop(held);
    server.assert_no_leaks(&pool);
}

#[test]
fn threads_and_tasks_are_served_in_order_of_arrival() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let held = hold(&pool, 1);
    let served = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for number in 0..40_u32 {
            let (pool, served) = (&pool, &served);
            scope.spawn(move || {
                let conn = match number % 2 {
                    0 => pool.get(),
                    _ => pollster::block_on(pool.get_async()),
                };
                let conn = conn.unwrap();
                served.lock().unwrap().push(number);
                drop(conn);
            });
            eventually("it waits", || pool.stats().waiting == number + 1);
        }
        drop(held);
    });
    assert_eq!(served.into_inner().unwrap(), (0..40).collect::<Vec<_>>());
    server.assert_no_leaks(&pool);
}

#[test]
fn a_deadline_needs_no_runtime_and_no_poll_but_the_one_it_asks_for() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let held = hold(&pool, 1);
    let (error, took) = timed(|| pollster::block_on(pool.get_async_timeout(ms(60))).unwrap_err());
    assert!(error.is_timeout(), "{error:?}");
    assert!(took >= ms(60) && took < ms(60) + SLACK, "{took:?}");
    let report = error.report().unwrap();
    assert_eq!((report.stats.in_use, report.held_by_this_thread), (1, 0));

    // Its time begins with the first poll.
    let (mut future, flag) = (pool.get_async_timeout(ms(60)), Arc::new(Flag::default()));
    let begun = Instant::now();
    assert!(poll(&mut future, &flag).is_pending());
    eventually("it is woken", || flag.woken() == 1);
    assert!(begun.elapsed() >= ms(60));
    assert!(matches!(poll(&mut future, &flag), Poll::Ready(Err(GetError::Timeout(_)))));

    let none = poll(&mut pool.get_async_timeout(Duration::ZERO), &flag);
    assert!(matches!(none, Poll::Ready(Err(GetError::Timeout(_)))), "zero waits for nothing");
    drop(held);
    assert_eq!(pool.stats().timed_out, 3);
    server.assert_no_leaks(&pool);
}

#[test]
fn ten_thousand_tasks_that_time_out_together_are_all_woken_in_time() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let held = hold(&pool, 1);
    let flag = Arc::new(Flag::default());
    let mut futures: Vec<_> = (0..10_000).map(|_| pool.get_async_timeout(ms(300))).collect();
    let begun = Instant::now();
    for future in &mut futures {
        assert!(poll(future, &flag).is_pending());
    }
    assert_eq!(pool.stats().waiting, 10_000);
    eventually("all are woken", || flag.woken() == 10_000);
    let late = begun.elapsed().saturating_sub(ms(300));
    assert!(late < Duration::from_secs(2), "{late:?}");
    for mut future in futures {
        // On a machine that stood still meanwhile each may have a moment more.
        eventually("it is refused", || matches!(poll(&mut future, &flag), Poll::Ready(Err(GetError::Timeout(_)))));
    }
    drop(held);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_future_that_is_dropped_leaves_the_queue_and_what_it_was_given_goes_to_the_next() {
    let (server, recorder) = (FakeServer::new(), Recorder::new());
    server.allow(1);
    let settings = builder().max_size(1).event_handler(recorder.clone());
    let pool = settings.build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 1);
    let flags = [(); 3].map(|()| Arc::new(Flag::default()));
    let mut futures = [(); 3].map(|()| pool.get_async());
    for (future, flag) in futures.iter_mut().zip(&flags) {
        assert!(poll(future, flag).is_pending());
    }
    let [first, second, mut third] = futures;
    drop(second);
    assert_eq!(pool.stats().waiting, 2);
    drop(held);
    assert_eq!(flags.each_ref().map(|flag| flag.woken()), [1, 0, 0], "the first has it");
    drop(first);
    assert_eq!(flags[2].woken(), 1, "the third has it");
    let Poll::Ready(Ok(conn)) = poll(&mut third, &flags[2]) else { panic!("it was woken for nothing") };
    drop(conn);
    let stats = pool.stats();
    assert_eq!((stats.cancelled, stats.rejected_at_checkout, stats.waiting), (2, 1, 0));
    assert_eq!(recorder.count("refused: cancelled"), 2);
    assert_eq!(RefusalReason::Cancelled.as_str(), "cancelled");
    server.assert_no_leaks(&pool);
}

/// What is called "futurelock": a future is woken, and nobody polls it.
#[test]
fn a_future_that_is_not_polled_loses_its_connection_and_keeps_its_place() {
    let server = FakeServer::new();
    server.allow(1);
    let pool = builder().max_size(1).reclaim_after(ms(20)).build_lazy(server.manager()).unwrap();
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
        assert!(took >= ms(20) && took < ms(20) + SLACK, "{took:?}");

        // It comes back, and stands before the last.
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
    // What is idle is there for one who comes late, too, as it is for a thread.
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

/// A waker whose every method uses the pool. Under the pool's lock that would hang.
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
    impl Wake for Curious {
        fn wake(self: Arc<Self>) {
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
            // Each poll with a waker of its own, which is dropped at the next.
            for _ in 0..2 {
                assert!(future.as_mut().poll(&mut Context::from_waker(&curious())).is_pending());
            }
        }
        match round % 3 {
            0 => drop(held),
            1 => eventually("they are woken in vain", || pool.stats().in_use == 1),
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
    let pool = pool_of(&server, 1);
    let held = hold(&pool, 1);
    let (flag, other) = (Arc::new(Flag::default()), Arc::new(Flag::default()));
    let (mut first, mut second) = (pool.get_async(), pool.get_async());
    assert!(poll(&mut first, &flag).is_pending() && poll(&mut second, &other).is_pending());
    drop(held);
    assert_eq!(flag.woken(), 1);
    server.next(Call::HasBroken, Outcome::Err(cabrank::Fault::Fatal));
    server.allow(2);
    assert!(poll(&mut first, &flag).is_pending(), "it is dead");
    eventually("there is another", || flag.woken() == 2);
    assert_eq!(other.woken(), 0);
    let Poll::Ready(Ok(conn)) = poll(&mut first, &flag) else { panic!("it was woken for nothing") };
    drop(conn);
    assert!(matches!(poll(&mut second, &other), Poll::Ready(Ok(_))));
    assert_eq!(pool.stats().rejected_at_checkout, 1);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_hundred_thousand_cancellations_lose_nothing() {
    let server = FakeServer::new();
    server.allow(3);
    let pool = builder().max_size(3).reclaim_after(ms(1)).build(server.manager()).unwrap();
    let (served, rounds) = (AtomicUsize::new(0), 25_000);
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (pool, served) = (&pool, &served);
            scope.spawn(move || {
                let (flag, mut random) = (Arc::new(Flag::default()), fastrand::Rng::with_seed(thread));
                let mut held = Vec::new();
                for _ in 0..rounds {
                    let mut future = pool.get_async();
                    for _ in 0..random.u32(0..4) {
                        if let Poll::Ready(conn) = poll(&mut future, &flag) {
                            served.fetch_add(1, Ordering::Relaxed);
                            held.push(conn.unwrap());
                            break;
                        }
                        if random.bool() {
                            held.pop();
                        }
                    }
                    if held.len() > 1 || random.bool() {
                        held.pop();
                    }
                }
            });
        }
    });
    let stats = pool.stats();
    assert!(stats.cancelled > 10_000 && served.load(Ordering::Relaxed) > 1_000, "{stats:?}");
    let begun = stats.checked_out_at_once + stats.checked_out_after_waiting - stats.rejected_at_checkout;
    assert_eq!((begun, stats.returned), (served.load(Ordering::Relaxed) as u64, served.load(Ordering::Relaxed) as u64));
    assert_eq!((stats.idle, stats.in_use, stats.waiting), (3, 0, 0));
    server.assert_no_leaks(&pool);
}

#[test]
fn what_get_refuses_is_refused_here_too() {
    let server = FakeServer::new();
    server.allow(1);
    let pool = builder().max_size(1).max_waiters(1).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 1);
    let flag = Arc::new(Flag::default());
    let mut first = pool.get_async();
    assert!(poll(&mut first, &flag).is_pending());
    assert!(matches!(poll(&mut pool.get_async(), &flag), Poll::Ready(Err(GetError::Overloaded(_)))));
    drop((first, held));
    pool.close();
    assert!(matches!(poll(&mut pool.get_async(), &flag), Poll::Ready(Err(GetError::Closed))));

    let server = FakeServer::new();
    server.order(Call::Connect, Outcome::Err(cabrank::Fault::Permanent));
    let pool = pool_of(&server, 1);
    let error = pollster::block_on(pool.get_async()).unwrap_err();
    assert!(matches!(error, GetError::Connect(_)), "{error:?}");
}

#[test]
fn with_each_runtime_a_thousand_tasks_share_eight_connections() {
    let server = FakeServer::new();
    server.allow(8);
    let pool = builder().max_size(8).build_lazy(server.manager()).unwrap();
    let task = |pool: crate::support::Pool| async move {
        let conn = pool.get_async().await.unwrap();
        tokio::task::yield_now().await;
        drop(conn);
    };
    let many = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let one = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for runtime in [many, one] {
        runtime.block_on(async {
            let tasks: Vec<_> = (0..1_000).map(|_| tokio::spawn(task(pool.clone()))).collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    }
    let stats = pool.stats();
    assert_eq!((stats.returned, stats.in_use, stats.timed_out, stats.cancelled), (2_000, 0, 0, 0));
    assert!(stats.opened <= 8);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_future_can_be_sent_and_moved_before_it_is_polled() {
    fn is_sent<T: Send + Unpin>(_: &T) {}
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let future = pool.get_async();
    is_sent(&future);
    let conn = pin!(future);
    assert!(pollster::block_on(conn).is_ok());
}
