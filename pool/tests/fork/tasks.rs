//! Futures that were polled before a fork: in the child they return an error, touch nothing of the parent, and can be dropped; in the
//! parent they continue.

use super::{CANCELLED, Counting, ENDED, Pool, in_a_child, pool};
use cabrank::{GetError, PooledConnection, RunError};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use std::{io, thread};

type Work = cabrank::RunAsync<Counting, Result<u64, RunError<io::Error, io::Error>>>;

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A pool that reclaims nothing from a future that is not polled.
fn patient_pool(max_size: u32) -> Pool {
    let settings = Pool::builder().max_size(max_size).reclaim_after(Duration::MAX);
    settings.acquire_timeout(Duration::from_secs(60)).build(Counting).unwrap()
}

fn is_forked<T>(polled: Poll<Result<T, GetError<io::Error>>>) -> bool {
    matches!(polled, Poll::Ready(Err(GetError::Forked)))
}

fn work_is_forked(polled: Poll<Result<u64, RunError<io::Error, io::Error>>>) -> bool {
    matches!(polled, Poll::Ready(Err(RunError::Get(GetError::Forked))))
}

/// Polls until there is an answer.
fn finish<F: Future + Unpin>(future: &mut F) -> F::Output {
    let begun = Instant::now();
    loop {
        if let Poll::Ready(answer) = poll(future) {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "the parent's future does not go on");
        thread::yield_now();
    }
}

#[test]
fn futures_that_wait_have_a_delivery_or_run_answer_in_the_child_and_go_on_in_the_parent() {
    let pool = patient_pool(3);
    let (begin, begun) = channel();
    let (tell, told) = channel();
    let mut running: Work = pool.run_async(move |conn| {
        begin.send(()).unwrap();
        told.recv().unwrap();
        Ok(PooledConnection::id(conn))
    });
    running = running.cancel_on_drop();
    assert!(poll(&mut running).is_pending());
    begun.recv().unwrap();
    let mut held = Some(pool.get().unwrap());
    let mut other = Some(pool.get().unwrap());
    let mut given = pool.get_async();
    let mut waiting = pool.get_async();
    let mut queued: Work = pool.run_async(|conn| Ok(PooledConnection::id(conn)));
    assert!(poll(&mut given).is_pending() && poll(&mut waiting).is_pending() && poll(&mut queued).is_pending());
    drop(other.take());
    assert_eq!((pool.stats().waiting, pool.stats().in_use), (2, 3), "one was delivered");

    let mut futures =
        Some((given, waiting, queued, running, pool.get_async(), pool.close_async(Duration::from_secs(60))));
    in_a_child(|| {
        let before = (ENDED.load(Ordering::SeqCst), CANCELLED.load(Ordering::SeqCst));
        let (mut given, mut waiting, mut queued, mut running, mut new, mut closing) = futures.take().unwrap();
        assert!(is_forked(poll(&mut given)) && is_forked(poll(&mut waiting)) && is_forked(poll(&mut new)));
        assert!(work_is_forked(poll(&mut queued)));
        assert!(work_is_forked(poll(&mut running)) && work_is_forked(poll(&mut running)));
        assert!(is_forked(poll(&mut pool.get_async())));
        assert!(work_is_forked(poll(&mut pool.run_async(|_| -> io::Result<u64> { panic!("it has no connection") }))));
        assert!(matches!(poll(&mut closing), Poll::Ready(report) if report.is_clean()));
        drop((given, waiting, queued, running, new, closing));
        drop(held.take());
        assert_eq!(
            (ENDED.load(Ordering::SeqCst), CANCELLED.load(Ordering::SeqCst)),
            before,
            "a session of the parent's was touched"
        );
    });
    in_a_child(|| drop(futures.take()));

    let (mut given, mut waiting, mut queued, mut running, new, closing) = futures.unwrap();
    drop((new, closing));
    assert_eq!((pool.stats().waiting, pool.stats().in_use, pool.stats().cancelled), (2, 3, 0), "nothing has changed");
    let Poll::Ready(Ok(first)) = poll(&mut given) else { panic!("what was delivered is lost") };
    assert!(poll(&mut waiting).is_pending());
    drop(first);
    let Poll::Ready(Ok(second)) = poll(&mut waiting) else { panic!("it is the next") };
    tell.send(()).unwrap();
    finish(&mut running).unwrap();
    finish(&mut queued).unwrap();
    drop((second, held));
    assert_eq!((pool.stats().in_use, pool.stats().returned, pool.stats().waiting), (0, 6, 0));
    assert!(pool.close_within(Duration::from_secs(10)).is_clean());
}

/// In a child, a poll with another waker neither clones that one nor drops the parent's, whose lock may be held forever there.
#[test]
fn a_child_touches_no_waker_of_its_parents() {
    struct Counted(Arc<AtomicBool>);
    impl Wake for Counted {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let pool = patient_pool(1);
    let held = pool.get().unwrap();
    let was_dropped = Arc::new(AtomicBool::new(false));
    let (mut future, mut work) = (pool.get_async(), pool.run_async(|_| io::Result::Ok(())));
    for _ in 0..2 {
        let waker = Waker::from(Arc::new(Counted(Arc::clone(&was_dropped))));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut future).poll(&mut context).is_pending());
        assert!(Pin::new(&mut work).poll(&mut context).is_pending());
    }
    was_dropped.store(false, Ordering::SeqCst);
    in_a_child(|| {
        assert!(is_forked(poll(&mut future)));
        assert!(poll(&mut work).is_ready());
        assert!(!was_dropped.load(Ordering::SeqCst), "a waker of the parent's was dropped");
    });
    assert!(!was_dropped.load(Ordering::SeqCst));
    assert!(poll(&mut future).is_pending() && poll(&mut work).is_pending());
    assert!(was_dropped.load(Ordering::SeqCst), "in the parent it is replaced");
    drop((future, work, held));
}

#[test]
fn a_pool_that_is_built_in_a_child_serves_tasks_there() {
    let parents = pool();
    assert!(finish(&mut parents.run_async(|conn| io::Result::Ok(PooledConnection::id(conn)))).is_ok());
    in_a_child(|| {
        let own = Pool::builder().max_size(1).build(Counting).unwrap();
        let held = own.get().unwrap();
        let mut late = own.get_async_timeout(Duration::from_millis(20));
        assert!(poll(&mut late).is_pending());
        assert!(finish(&mut late).unwrap_err().is_timeout());
        let mut work = own.run_async(|conn| io::Result::Ok(PooledConnection::id(conn)));
        assert!(poll(&mut work).is_pending());
        drop(held);
        assert!(finish(&mut work).is_ok());
        assert!(finish(&mut own.close_async(Duration::from_secs(10))).is_clean());
    });
    assert!(finish(&mut parents.run_async(|conn| io::Result::Ok(PooledConnection::id(conn)))).is_ok());
}

#[test]
fn a_child_that_polls_and_drops_a_future_hangs_in_no_lock_that_a_thread_of_its_parent_held() {
    let pool = Pool::builder().max_size(2).reclaim_after(Duration::from_millis(1)).build(Counting).unwrap();
    let busy = AtomicBool::new(true);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while busy.load(Ordering::SeqCst) {
                    drop(pool.get().unwrap());
                    drop(finish(&mut pool.get_async()).unwrap());
                }
            });
        }
        for _ in 0..50 {
            // These threads may be delivering to the future, or reclaiming from it, at this moment.
            let mut future = pool.get_async();
            let mut work = pool.run_async(|_| io::Result::Ok(()));
            let polled = (poll(&mut future).is_ready(), poll(&mut work).is_ready());
            let mut futures = Some((future, work));
            in_a_child(|| {
                let (mut future, mut work) = futures.take().unwrap();
                assert!(polled.0 || is_forked(poll(&mut future)));
                assert!(polled.1 || poll(&mut work).is_ready());
            });
            drop(futures);
        }
        busy.store(false, Ordering::SeqCst);
    });
    assert!(pool.close_within(Duration::from_secs(10)).is_clean());
}
