//! Blocking work for tasks: on its own threads, with one layer of errors, and an end in every case.

use crate::support::{Pool, builder, closed_by, hold, ms};
use cabrank::{CloseReason, RunError, Work};
use cabrank_testing::fake::{Call, FakeError, FakeServer, Outcome};
use cabrank_testing::{eventually, timed};
use std::collections::HashSet;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

fn pool_of(server: &FakeServer, max_size: u32) -> Pool {
    server.allow(max_size as usize);
    builder().max_size(max_size).build_lazy(server.manager()).unwrap()
}

#[test]
fn work_runs_on_another_thread_and_its_answer_comes_back() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let here = thread::current().id();
    let answer = pollster::block_on(pool.run_async(move |conn| -> Result<bool, FakeError> {
        conn.query()?;
        Ok(thread::current().id() != here)
    }));
    assert!(matches!(answer, Ok(true)));
    assert_eq!((pool.stats().returned, pool.stats().idle), (1, 1));

    server.next(Call::Query, Outcome::Err(cabrank::Fault::Fatal));
    let failed = pollster::block_on(pool.run_async(|conn| conn.query()));
    assert!(matches!(failed, Err(RunError::User(_))), "{failed:?}");
    eventually("it is closed", || closed_by(&pool, CloseReason::Broken) == 1);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_panic_costs_one_connection_and_is_told() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let failed = pollster::block_on(pool.run_async(|_| -> Result<(), FakeError> { panic!("out of cheese") }));
    let Err(RunError::Panicked(message)) = &failed else { panic!("{failed:?}") };
    assert_eq!(message, "out of cheese");
    assert_eq!(failed.unwrap_err().to_string(), "the closure panicked: out of cheese");
    assert_eq!(closed_by(&pool, CloseReason::Panicked), 1);
    assert!(pollster::block_on(pool.run_async(|conn| conn.query())).is_ok());
    server.assert_no_leaks(&pool);
}

#[test]
fn as_many_threads_as_connections_serve_any_number_of_tasks() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 3);
    let threads = Arc::new(Mutex::new(HashSet::new()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..200)
            .map(|_| {
                let threads = Arc::clone(&threads);
                tokio::spawn(pool.run_async(move |conn| {
                    threads.lock().unwrap().insert(thread::current().id());
                    conn.query()
                }))
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    });
    // One may not rest yet when the next begins.
    let used = threads.lock().unwrap().len();
    assert!((1..=6).contains(&used), "{used} threads");
    assert_eq!(pool.stats().returned, 200);
    server.assert_no_leaks(&pool);
}

#[test]
fn what_the_user_names_runs_the_work_and_work_that_is_dropped_is_told() {
    let server = FakeServer::new();
    server.allow(1);
    let (send, works) = channel::<Work>();
    let settings = builder().max_size(1).run_on(move |work: Work| send.send(work).unwrap());
    let pool = settings.build_lazy(server.manager()).unwrap();
    thread::scope(|scope| {
        let asks = || pollster::block_on(pool.run_async(|conn| conn.query()));
        let served = scope.spawn(asks);
        works.recv().unwrap()();
        assert!(served.join().unwrap().is_ok());
        let dropped = scope.spawn(asks);
        drop(works.recv().unwrap());
        assert!(matches!(dropped.join().unwrap(), Err(RunError::NotRun)));
    });
    assert_eq!((pool.stats().returned, pool.stats().idle), (2, 1), "its connection is back");

    let settings = builder().max_size(1).run_on(|_: Work| panic!("no threads today"));
    let pool = settings.build_lazy(server.manager()).unwrap();
    server.allow(2);
    assert!(matches!(pollster::block_on(pool.run_async(|conn| conn.query())), Err(RunError::NotRun)));
}

#[test]
fn a_future_that_is_dropped_leaves_the_queue_or_lets_its_work_run_or_has_it_cancelled() {
    for (cancels, asked) in [(false, 0), (true, 1)] {
        let server = FakeServer::new();
        let pool = pool_of(&server, 1);
        let (began, has_begun) = channel();
        server.order(Call::Query, Outcome::Never);
        let mut running = Box::pin(pool.run_async(move |conn| {
            began.send(()).unwrap();
            conn.query()
        }));
        if cancels {
            running = Box::pin(std::pin::Pin::into_inner(running).cancel_on_drop());
        }
        let mut context = Context::from_waker(Waker::noop());
        eventually("it runs", || {
            assert!(running.as_mut().poll(&mut context).is_pending());
            has_begun.try_recv().is_ok()
        });
        let mut waiting = pin!(pool.run_async(|conn| conn.query()));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        assert_eq!(pool.stats().waiting, 1);
        drop(running);
        eventually("the cancel is sent", || server.count(Call::Cancel) == asked);
        server.heal();
        server.release(Call::Query);
        eventually("its connection is back", || pool.stats().returned == 1);
        assert_eq!(closed_by(&pool, CloseReason::Cancelled), asked as u64);
        assert!(pollster::block_on(waiting).is_ok());
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn work_that_has_not_begun_does_not_begin_when_its_future_was_dropped() {
    let server = FakeServer::new();
    server.allow(1);
    let (send, works) = channel::<Work>();
    let settings = builder().max_size(1).run_on(move |work: Work| send.send(work).unwrap());
    let pool = settings.build(server.manager()).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    for (cancels, runs) in [(true, 0), (false, 1)] {
        let ran = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&ran);
        let mut future = pool.run_async(move |_| -> Result<(), FakeError> {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        if cancels {
            future = future.cancel_on_drop();
        }
        let mut future = Box::pin(future);
        assert!(future.as_mut().poll(&mut context).is_pending());
        let work = works.recv().unwrap();
        drop(future);
        work();
        assert_eq!((ran.load(Ordering::SeqCst), server.count(Call::Cancel)), (runs, 0));
        assert_eq!((pool.stats().idle, pool.stats().in_use), (1, 0));
    }
    server.assert_no_leaks(&pool);
}

#[test]
fn a_pool_is_closed_from_a_task() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 2);
    let mut held = hold(&pool, 2);
    drop(held.pop());
    let last = held.pop().unwrap();
    let (report, took) = timed(|| {
        thread::scope(|scope| {
            let closing = scope.spawn(|| pollster::block_on(pool.close_async(Duration::from_secs(10))));
            eventually("it is closed", || pool.is_closed());
            drop(last);
            closing.join().unwrap()
        })
    });
    assert!(report.is_clean() && took < Duration::from_secs(5), "{report} {took:?}");
    assert_eq!(server.live(), 0);

    // Once polled it closes the pool, even if nobody awaits the end.
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    drop(pool.get().unwrap());
    let mut closing = Box::pin(pool.close_async(Duration::from_secs(10)));
    // It may have ended by the time of the first answer.
    let _ = closing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    drop(closing);
    assert!(pool.is_closed());
    eventually("all is gone", || server.live() == 0);
}

#[test]
fn a_get_in_work_that_waits_for_its_own_pool_keeps_its_deadline() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let inner = pool.clone();
    let nested = pollster::block_on(pool.run_async(move |_| -> Result<bool, FakeError> {
        Ok(inner.get_timeout(ms(30)).is_err_and(|error| error.is_timeout()))
    }));
    assert!(matches!(nested, Ok(true)), "it is not a hook, and waits");
}
