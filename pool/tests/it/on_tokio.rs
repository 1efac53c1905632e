//! The closures of tasks on tokio's threads for blocking work.

use crate::support::{Pool, builder};
use cabrank::{RunError, Tokio};
use cabrank_testing::fake::{FakeError, FakeServer};
use std::thread;
use tokio::runtime::{Builder, Handle};

/// A pool with one connection, which is idle.
fn pool_of_one(server: &FakeServer) -> Pool {
    server.allow(1);
    builder().max_size(1).run_on(Tokio).build(server.manager()).unwrap()
}

#[test]
fn work_runs_on_the_blocking_threads_of_the_runtime_in_which_its_future_is_polled() {
    let server = FakeServer::new();
    // Built outside of a runtime, and used in several, one after the other.
    let pool = pool_of_one(&server);
    for (name, mut runtime) in [
        ("first", Builder::new_multi_thread()),
        ("second", Builder::new_current_thread()),
        ("third", Builder::new_multi_thread()),
    ] {
        let runtime = runtime.thread_name(name).build().unwrap();
        let polls = thread::current().id();
        let work = pool.run_async(move |conn| -> Result<(), FakeError> {
            assert_eq!(thread::current().name(), Some(name));
            assert_ne!(thread::current().id(), polls);
            Handle::current().block_on(tokio::task::yield_now());
            conn.query()
        });
        runtime.block_on(work).unwrap();
    }
    assert_eq!(pool.stats().returned, 3);
    server.assert_no_leaks(&pool);
}

#[test]
fn where_no_runtime_takes_the_work_nothing_is_done_and_that_is_told() {
    let server = FakeServer::new();
    let pool = pool_of_one(&server);
    let work = || pool.run_async(|_| -> Result<(), FakeError> { panic!("it runs") });
    let outside = pollster::block_on(work());
    assert!(matches!(outside, Err(RunError::NotRun)), "{outside:?}");

    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let handle = runtime.handle().clone();
    runtime.shutdown_background();
    let _entered = handle.enter();
    let after_its_end = pollster::block_on(work());
    assert!(matches!(after_its_end, Err(RunError::NotRun)), "{after_its_end:?}");
    assert_eq!((pool.stats().idle, pool.stats().returned), (1, 2), "its connection is back");
    server.assert_no_leaks(&pool);
}
