//! Each injection has its documented effect, on the fake driver and on a minimal one, and nothing else changes.

use super::*;
use crate::fake::{Call, FakeError, FakeManager, FakeServer};
use crate::{assert_closes_clean, assert_no_leaks, eventually, timed};
use cabrank::{Builder, CloseReason, Fault, Limit, Manager, Pool, RunError, Transact, TransactionError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{io, thread};

const ERROR: FakeError = FakeError { call: Call::Query, fault: Fault::Unavailable };

fn builder() -> Builder<Faulty<FakeManager>> {
    Pool::builder().max_size(2).acquire_timeout(Duration::from_secs(10))
}

/// Implements only what a manager must. Its connections are numbers.
struct Plain(AtomicU64);

impl Manager for Plain {
    type Connection = u64;
    type Error = io::Error;

    const REMOTE: bool = false;

    fn connect(&self, _: &Limit) -> io::Result<u64> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn is_valid(&self, _: &mut u64, _: &Limit) -> io::Result<()> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

fn plain(max_size: u32) -> (Pool<Faulty<Plain>>, Faults<io::Error>) {
    let (faulty, faults) = Faulty::wrap(Plain(AtomicU64::new(0)));
    let builder = Pool::builder().max_size(max_size).check_after(Duration::ZERO);
    (builder.acquire_timeout(Duration::from_secs(10)).build_lazy(faulty).unwrap(), faults)
}

#[test]
fn the_nth_call_fails_and_those_before_and_after_it_do_not() {
    let (pool, faults) = plain(1);
    faults.inject(Method::IsValid, 2, Injection::Fail(io::ErrorKind::TimedOut.into()));
    let seen: Vec<u64> = (0..4).map(|_| *pool.get().unwrap()).collect();
    // The first loan is of a new connection, and the second of a connection that is checked for the first time.
    assert_eq!(seen, [0, 0, 1, 1]);
    assert_eq!(pool.stats().closed.by(CloseReason::CheckFailed), 1);
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

#[test]
fn calls_are_counted_from_when_the_fault_is_injected() {
    let (pool, faults) = plain(1);
    pool.get().unwrap();
    pool.get().unwrap();
    assert_eq!((faults.count(Method::Connect), faults.count(Method::IsValid)), (1, 1));
    faults.next(Method::IsValid, Injection::Fail(io::ErrorKind::TimedOut.into()));
    assert_eq!(*pool.get().unwrap(), 1);
}

#[test]
fn a_connect_that_fails_is_tried_again() {
    let server = FakeServer::new();
    let (faulty, faults) = Faulty::wrap(server.manager());
    let pool = builder().build_lazy(faulty).unwrap();
    faults.next(Method::Connect, Injection::Fail(ERROR));
    pool.get().unwrap();
    assert_eq!((faults.count(Method::Connect), server.count(Call::Connect)), (2, 1), "the driver was called once");
    assert_eq!(pool.stats().open_failures, 1);
}

#[test]
fn what_returns_no_error_gives_the_worst_answer() {
    let server = FakeServer::new();
    let (faulty, faults) = Faulty::wrap(server.manager());
    let pool = builder().max_size(1).build_lazy(faulty).unwrap();
    faults.next(Method::AbortHandle, Injection::Fail(ERROR));
    faults.next(Method::Session, Injection::Fail(ERROR));
    pool.get().unwrap().query().unwrap();
    assert_eq!(server.count(Call::AbortHandle), 0);
    eventually("what is unknown is reset", || pool.stats().resets_done == 1);
    faults.next(Method::HasBroken, Injection::Fail(ERROR));
    faults.next(Method::Close, Injection::Fail(ERROR));
    drop(pool.get().unwrap());
    eventually("what is broken is closed", || pool.stats().closed.by(CloseReason::Broken) == 1);
    faults.next(Method::Fault, Injection::Fail(ERROR));
    let failed = pool.run(|_| -> Result<(), FakeError> { Err(ERROR) });
    assert!(matches!(failed, Err(RunError::User(_))));
    eventually("a fatal fault costs the connection", || pool.stats().closed.total() == 2);
}

#[test]
fn a_call_that_is_delayed_takes_longer() {
    let (pool, faults) = plain(1);
    faults.next(Method::Connect, Injection::Delay(Duration::from_millis(80)));
    let (conn, took) = timed(|| pool.get().unwrap());
    assert!(took >= Duration::from_millis(80), "{took:?}");
    drop(conn);
    assert_no_leaks(&pool);
}

#[test]
fn a_call_that_hangs_goes_on_when_it_is_released() {
    let server = FakeServer::new();
    let (faulty, faults) = Faulty::wrap(server.manager());
    let pool = builder().max_size(1).build_lazy(faulty).unwrap();
    for method in [Method::Connect, Method::Commit] {
        faults.next(method, Injection::Hang);
        thread::scope(|scope| {
            let worker = scope.spawn(|| pool.transaction().run(|tx| tx.query()));
            eventually("it hangs", || faults.hanging(method) == 1);
            assert!(!worker.is_finished());
            faults.release(method);
            worker.join().unwrap().unwrap();
        });
        assert_eq!(faults.hanging(method), 0);
    }
    server.assert_no_leaks(&pool);
}

#[test]
fn a_call_that_hangs_beyond_its_limit_is_aborted_and_costs_no_slot() {
    let server = FakeServer::new();
    server.allow(1);
    let (faulty, faults) = Faulty::wrap(server.manager());
    let limit = Duration::from_millis(100);
    let pool = builder().max_size(1).check_after(Duration::ZERO).connect_timeout(limit);
    let pool = pool.check_timeout(limit).reset_timeout(limit).build_lazy(faulty).unwrap();
    faults.next(Method::Connect, Injection::Hang);
    pool.get().unwrap().litter();
    for (method, closed) in [(Method::Reset, 1), (Method::IsValid, 2)] {
        pool.get().unwrap().litter();
        faults.next(method, Injection::Hang);
        pool.get().unwrap().litter();
        eventually("it was closed", || pool.stats().closed.total() >= closed);
    }
    assert_eq!(pool.stats().closed.by(CloseReason::Overran), 2, "{:?}", pool.stats().closed);
    eventually("nothing hangs any more", || faults.hanging(Method::IsValid) + faults.hanging(Method::Reset) == 0);
    server.assert_no_leaks(&pool);
    server.assert_closes_clean(&pool);
}

#[test]
fn a_commit_that_hangs_ends_with_its_connection() {
    let server = FakeServer::new();
    let (faulty, faults) = Faulty::wrap(server.manager());
    let pool = builder().build_lazy(faulty).unwrap();
    faults.next(Method::Commit, Injection::Hang);
    // Leaves aborting as the only way.
    faults.next(Method::Cancel, Injection::Fail(ERROR));
    thread::scope(|scope| {
        let worker = scope.spawn(|| pool.transaction().run(|tx| tx.query()));
        eventually("it hangs", || faults.hanging(Method::Commit) == 1);
        let report = pool.close_within(Duration::from_millis(200));
        assert_eq!(report.aborted.len(), 1, "{report}");
        let _ = worker.join().unwrap();
    });
    eventually("no session is left", || server.live() == 0);
}

#[test]
fn a_call_that_panics_costs_no_slot() {
    for method in [
        Method::Connect,
        Method::IsValid,
        Method::HasBroken,
        Method::Session,
        Method::Reset,
        Method::CheckSetUp,
        Method::StartTracking,
        Method::Close,
        Method::AbortHandle,
    ] {
        let server = FakeServer::new();
        let (faulty, faults) = Faulty::wrap(server.manager());
        let pool = builder().check_after(Duration::ZERO).build_lazy(faulty).unwrap();
        faults.next(method, Injection::Panic);
        for _ in 0..3 {
            pool.get().unwrap().litter();
        }
        pool.evict_all();
        eventually("it was called", || faults.count(method) > 0);
        server.assert_no_leaks(&pool);
        server.assert_closes_clean(&pool);
    }
}

#[test]
fn transactions_are_those_of_the_driver() {
    let server = FakeServer::new();
    let (faulty, faults) = Faulty::wrap(server.manager());
    let pool = builder().build_lazy(faulty).unwrap();
    pool.transaction().options(7).run(|tx| tx.query()).unwrap();
    assert_eq!((server.count(Call::Begin), server.count(Call::Commit)), (1, 1));
    for method in [Method::Begin, Method::Commit] {
        faults.next(method, Injection::Fail(FakeError { call: Call::Query, fault: Fault::Retry }));
        pool.transaction().retries(1).run(|tx| tx.query()).unwrap();
    }
    faults.next(Method::Commit, Injection::Fail(ERROR));
    let lost = pool.transaction().retries(1).run(|tx| tx.query());
    assert!(matches!(lost, Err(TransactionError::Unknown(ERROR))), "{lost:?}");
    let undone = server.count(Call::Rollback);
    faults.next(Method::Rollback, Injection::Fail(ERROR));
    let refused = pool.transaction().run(|_| -> Result<(), FakeError> { Err(ERROR) });
    assert!(matches!(refused, Err(TransactionError::User(_))), "{refused:?}");
    assert_eq!(
        (undone, server.count(Call::Rollback)),
        (2, 2),
        "two commits were undone; then the driver was not called"
    );
    server.assert_no_leaks(&pool);
}

#[test]
fn without_a_fault_every_call_reaches_the_driver() {
    let server = FakeServer::new();
    let (faulty, faults) = Faulty::wrap(server.manager());
    let pool = builder().max_size(1).check_after(Duration::ZERO).build_lazy(faulty).unwrap();
    pool.get().unwrap().litter();
    drop(pool.get().unwrap());
    let _ = pool.transaction().run(|_| -> Result<(), FakeError> { Err(ERROR) });
    pool.transaction().run(|tx| tx.query()).unwrap();
    server.assert_closes_clean(&pool);
    for (method, call) in [
        (Method::Connect, Call::Connect),
        (Method::IsValid, Call::Check),
        (Method::HasBroken, Call::HasBroken),
        (Method::Reset, Call::Reset),
        (Method::Close, Call::Close),
        (Method::Fault, Call::Fault),
        (Method::AbortHandle, Call::AbortHandle),
        (Method::Begin, Call::Begin),
        (Method::Commit, Call::Commit),
        (Method::Rollback, Call::Rollback),
    ] {
        assert!(faults.count(method) > 0, "{method:?} was not called");
        assert_eq!(faults.count(method), server.count(call), "{method:?}");
    }
    // The fake's `check_set_up` uses its `session`.
    assert_eq!(faults.count(Method::Session) + faults.count(Method::CheckSetUp), server.count(Call::Session));
    assert!(faults.count(Method::Session) > 0 && faults.count(Method::StartTracking) > 0);
}

#[test]
fn an_engine_in_this_process_stays_one() {
    const { assert!(!<Faulty<Plain> as Manager>::REMOTE) };
    const { assert!(<Faulty<FakeManager> as Manager>::REMOTE) };
    fn transacts<M: Transact>() {}
    transacts::<Faulty<FakeManager<false>>>();
}

#[test]
fn without_a_handle_nothing_hangs_and_nothing_is_injected() {
    let (pool, faults) = plain(1);
    faults.next(Method::Connect, Injection::Hang);
    faults.inject(Method::IsValid, 1, Injection::Panic);
    thread::scope(|scope| {
        let worker = scope.spawn(|| *pool.get().unwrap());
        let other = faults.clone();
        eventually("it hangs", || other.hanging(Method::Connect) == 1);
        drop(faults);
        assert!(!worker.is_finished(), "there is another handle");
        drop(other);
        assert_eq!(worker.join().unwrap(), 0);
    });
    assert_eq!(*pool.get().unwrap(), 0, "its check succeeded");
}

#[test]
#[should_panic(expected = "has its fault already")]
fn one_call_has_one_fault() {
    let (_pool, faults) = plain(1);
    faults.next(Method::Connect, Injection::Hang);
    faults.next(Method::Connect, Injection::Panic);
}
