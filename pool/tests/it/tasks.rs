//! Waiting without a thread: tasks queue like threads, and keep their deadlines without a runtime.

use crate::polling::{Flag, poll};
use crate::support::{Pool, SLACK, builder, hold, ms, pool_of};
use cabrank::{GetError, RefusalReason};
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use cabrank_testing::{Recorder, eventually, timed};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

/// A pool of one that reclaims nothing, because the test's thread may be suspended while a task has a delivery.
fn patient_pool(server: &FakeServer) -> Pool {
    server.allow(1);
    builder().max_size(1).reclaim_after(Duration::MAX).build_lazy(server.manager()).unwrap()
}

#[test]
fn what_is_idle_is_lent_at_once_and_what_is_not_wakes_the_task() {
    let server = FakeServer::new();
    let pool = patient_pool(&server);
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
    let pool = patient_pool(&server);
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
    assert!(matches!(none, Poll::Ready(Err(GetError::Timeout(_)))), "a time-out of zero does not wait");
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
    // On a machine that stalled meanwhile they may have a moment more.
    eventually("all are refused", || {
        futures.retain_mut(|future| match poll(future, &flag) {
            Poll::Pending => true,
            Poll::Ready(answer) => !answer.is_err_and(|error| error.is_timeout()),
        });
        futures.is_empty()
    });
    drop(held);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_future_that_is_dropped_leaves_the_queue_and_what_it_was_given_goes_to_the_next() {
    let (server, recorder) = (FakeServer::new(), Recorder::new());
    server.allow(1);
    let settings = builder().max_size(1).reclaim_after(Duration::MAX).event_handler(recorder.clone());
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
fn a_future_can_be_sent_and_moved_before_it_is_polled() {
    fn is_sent<T: Send + Unpin>(_: &T) {}
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let future = pool.get_async();
    is_sent(&future);
    let conn = pin!(future);
    assert!(pollster::block_on(conn).is_ok());
}
