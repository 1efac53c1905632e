//! The guarantees that tasks rely on, on each kind of executor: both of tokio, without a timer here, smol, and a thread for each task.

use crate::support::{Pool, SLACK, builder, closed_by, hold, ms};
use cabrank::{CloseReason, Fault, GetError, RunError, TransactionError, Work};
use cabrank_testing::fake::{Call, FakeError, FakeServer};
use cabrank_testing::panics::ORDERED;
use cabrank_testing::{eventually, timed};
use smol::future::{poll_once, yield_now};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Plays a case on each executor. The case passes it tasks, which run concurrently, and continues when all have ended.
fn on_each(case: impl Fn(fn(Vec<Task>))) {
    for (name, run) in EXECUTORS {
        println!("{name}");
        case(*run);
    }
}

const EXECUTORS: &[(&str, fn(Vec<Task>))] = &[
    ("tokio, one thread", |tasks| on_tokio(&mut Builder::new_current_thread(), tasks)),
    ("tokio, two threads", |tasks| on_tokio(Builder::new_multi_thread().worker_threads(2), tasks)),
    ("smol", on_smol),
    ("pollster", on_pollster),
];

fn on_tokio(runtime: &mut Builder, tasks: Vec<Task>) {
    runtime.build().unwrap().block_on(async {
        let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

fn on_smol(tasks: Vec<Task>) {
    let executor = smol::Executor::new();
    let tasks: Vec<_> = tasks.into_iter().map(|task| executor.spawn(task)).collect();
    smol::block_on(executor.run(async {
        for task in tasks {
            task.await;
        }
    }));
}

fn on_pollster(tasks: Vec<Task>) {
    thread::scope(|scope| {
        for task in tasks {
            scope.spawn(|| pollster::block_on(task));
        }
    });
}

fn task(work: impl Future<Output = ()> + Send + 'static) -> Task {
    Box::pin(work)
}

/// Like `eventually`, for tasks.
async fn soon(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "not in time: {what}");
        yield_now().await;
    }
}

fn pool_of(server: &FakeServer, max_size: u32) -> Pool {
    server.allow(max_size as usize);
    builder().max_size(max_size).build_lazy(server.manager()).unwrap()
}

#[test]
fn threads_and_tasks_are_served_in_order_of_arrival_on_each_executor() {
    const MANY: u32 = 24;
    on_each(|run| {
        let server = FakeServer::new();
        server.allow(1);
        let pool = builder().max_size(1).reclaim_after(Duration::MAX).build_lazy(server.manager()).unwrap();
        let held = hold(&pool, 1);
        let served = Arc::new(Mutex::new(Vec::new()));
        // Each makes its request when this many wait before it.
        let threads = (0..MANY).step_by(2).map(|number| {
            let (pool, served) = (pool.clone(), Arc::clone(&served));
            thread::spawn(move || {
                eventually("its turn", || pool.stats().waiting == number);
                let _conn = pool.get().unwrap();
                served.lock().unwrap().push(number);
            })
        });
        let threads: Vec<_> = threads.collect();
        let tasks = (1..MANY).step_by(2).map(|number| {
            let (pool, served) = (pool.clone(), Arc::clone(&served));
            task(async move {
                soon("its turn", || pool.stats().waiting == number).await;
                let _conn = pool.get_async().await.unwrap();
                served.lock().unwrap().push(number);
            })
        });
        let its_pool = pool.clone();
        let holder = task(async move {
            soon("all wait", || its_pool.stats().waiting == MANY).await;
            drop(held);
        });
        run(tasks.chain([holder]).collect());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*served.lock().unwrap(), (0..MANY).collect::<Vec<_>>());
        server.assert_no_leaks(&pool);
    });
}

#[test]
fn a_thousand_tasks_share_eight_connections_on_each_executor() {
    on_each(|run| {
        let server = FakeServer::new();
        let pool = pool_of(&server, 8);
        let tasks = (0..1_000).map(|_| {
            let pool = pool.clone();
            task(async move {
                let _conn = pool.get_async().await.unwrap();
                yield_now().await;
            })
        });
        run(tasks.collect());
        let stats = pool.stats();
        assert_eq!((stats.returned, stats.in_use, stats.timed_out, stats.cancelled), (1_000, 0, 0, 0));
        assert!(stats.opened <= 8);
        server.assert_no_leaks(&pool);
    });
}

#[test]
fn deadlines_are_kept_on_each_executor_though_none_has_a_timer() {
    on_each(|run| {
        let server = FakeServer::new();
        server.allow(1);
        let pool = builder().max_size(1).acquire_timeout(ms(60)).build_lazy(server.manager()).unwrap();
        let held = hold(&pool, 1);
        let its_pool = pool.clone();
        run(vec![task(async move {
            let begun = Instant::now();
            let got = its_pool.get_async().await;
            assert!(matches!(got, Err(GetError::Timeout(_))), "{got:?}");
            let ran = its_pool.run_async(|conn| conn.query()).await;
            assert!(matches!(ran, Err(RunError::Get(GetError::Timeout(_)))), "{ran:?}");
            let done = its_pool.transaction().run_async(|tx| tx.query()).await;
            assert!(matches!(done, Err(TransactionError::Get(GetError::Timeout(_)))), "{done:?}");
            let took = begun.elapsed();
            assert!(took >= 3 * ms(60) && took < 3 * ms(60) + SLACK, "{took:?}");
        })]);
        drop(held);
        assert_eq!(pool.stats().timed_out, 3);
        server.assert_no_leaks(&pool);
    });
}

#[test]
fn futures_that_are_put_aside_hold_up_their_own_task_for_fifty_milliseconds_each_on_each_executor() {
    on_each(|run| {
        let server = FakeServer::new();
        let pool = pool_of(&server, 1);
        let held = hold(&pool, 1);
        let (its_pool, begun) = (pool.clone(), Instant::now());
        run(vec![task(async move {
            let (mut never, mut later) = (pin!(its_pool.get_async()), pin!(its_pool.get_async()));
            assert!(poll_once(never.as_mut()).await.is_none() && poll_once(later.as_mut()).await.is_none());
            let begun = Instant::now();
            drop(held);
            let conn = its_pool.get_async().await.unwrap();
            let took = begun.elapsed();
            assert!(took >= 2 * ms(50) && took < 2 * ms(50) + SLACK, "{took:?}");
            drop(conn);
            drop(later.await.unwrap());
        })]);
        let stats = pool.stats();
        // A busy machine may suspend the task itself for as long.
        let more = (begun.elapsed() - 2 * ms(50)).as_millis() as u64 / 50;
        assert!((2..=2 + more).contains(&stats.rejected_at_checkout), "{} of {more}", stats.rejected_at_checkout);
        assert_eq!((stats.cancelled, stats.timed_out), (1, 0));
        server.assert_no_leaks(&pool);
    });
}

#[test]
fn work_and_transactions_answer_fail_and_panic_on_each_executor() {
    on_each(|run| {
        let server = FakeServer::new();
        let pool = pool_of(&server, 3);
        let tasks = (0..60).map(|number| {
            let pool = pool.clone();
            let end = move || match number % 3 {
                0 => Ok(number),
                1 => Err(FakeError { call: Call::Query, fault: Fault::Statement }),
                _ => panic!("{ORDERED}"),
            };
            task(async move {
                let ran = pool.run_async(move |_| end()).await;
                let done = pool.transaction().run_async(move |_| end()).await;
                match number % 3 {
                    0 => assert_eq!((ran.unwrap(), done.unwrap()), (number, number)),
                    1 => assert!(matches!((ran, done), (Err(RunError::User(_)), Err(TransactionError::User(_))))),
                    _ => {
                        assert!(matches!((ran, done), (Err(RunError::Panicked(_)), Err(TransactionError::Panicked(_)))))
                    }
                }
            })
        });
        run(tasks.collect());
        assert_eq!((server.count(Call::Commit), closed_by(&pool, CloseReason::Panicked)), (20, 40));
        server.assert_no_leaks(&pool);
    });
}

#[test]
fn a_pool_is_closed_from_a_task_beside_its_borrowers_on_each_executor() {
    on_each(|run| {
        let server = FakeServer::new();
        let pool = pool_of(&server, 2);
        let held = hold(&pool, 2);
        let [waits, closes, holds] = [(); 3].map(|()| pool.clone());
        let (report, took) = timed(|| {
            let report = Arc::new(Mutex::new(None));
            let its_report = Arc::clone(&report);
            run(vec![
                task(async move { assert!(matches!(waits.get_async().await, Err(GetError::Closed))) }),
                task(async move {
                    soon("one waits", || closes.stats().waiting == 1).await;
                    *its_report.lock().unwrap() = Some(closes.close_async(Duration::from_secs(10)).await);
                }),
                task(async move {
                    soon("it is closed", || holds.is_closed()).await;
                    drop(held);
                }),
            ]);
            report.lock().unwrap().take().unwrap()
        });
        assert!(report.is_clean() && took < Duration::from_secs(5), "{report} {took:?}");
        assert_eq!(server.live(), 0);
    });
}

#[test]
fn work_runs_on_the_threads_of_smol_if_that_is_named() {
    let server = FakeServer::new();
    server.allow(1);
    let settings = builder().max_size(1).run_on(|work: Work| smol::unblock(work).detach());
    let pool = settings.build_lazy(server.manager()).unwrap();
    let name = pool.run_async(|conn| conn.query().map(|()| thread::current().name().map(str::to_owned)));
    assert!(smol::block_on(name).unwrap().is_none_or(|name| !name.starts_with("cabrank")));
    server.assert_no_leaks(&pool);
}
