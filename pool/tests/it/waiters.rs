//! Many waiters, and how long each waits.

use crate::support::{SLACK, builder, hold, ms, pool_of};
use cabrank::{CheckedOut, EventHandler, GetError};
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use cabrank_testing::{eventually, timed};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn ten_thousand_waiters_on_ten_connections_are_all_served() {
    let _alone = CROWDED.lock().unwrap_or_else(PoisonError::into_inner);
    let server = FakeServer::new();
    server.allow(10);
    let pool = builder().max_size(10).acquire_timeout(Duration::from_secs(60)).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 10);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..CROWD {
            small().spawn_scoped(scope, || pool.get().map(|_conn| served.fetch_add(1, Ordering::Relaxed))).unwrap();
        }
        eventually("all wait", || pool.stats().waiting as usize == CROWD);
        drop(held);
    });
    assert_eq!(served.into_inner(), CROWD);
    assert_eq!(server.count(Call::Connect), 10);
    server.assert_no_leaks(&pool);
}

#[test]
fn ten_thousand_waiters_that_time_out_together_do_so_in_time() {
    let _alone = CROWDED.lock().unwrap_or_else(PoisonError::into_inner);
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let held = hold(&pool, 1);
    let deadline = Instant::now() + Duration::from_secs(3);
    let late = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..CROWD {
            small()
                .spawn_scoped(scope, || {
                    // On a busy machine the last thread may start after the deadline.
                    let due = deadline.max(Instant::now());
                    let error = pool.get_timeout(due.saturating_duration_since(Instant::now())).unwrap_err();
                    assert!(error.is_timeout());
                    // A busy machine needs a while to wake so many; `tests/quiet.rs` measures the cost.
                    late.fetch_add(usize::from(due.elapsed() > Duration::from_secs(10)), Ordering::Relaxed);
                })
                .unwrap();
        }
        eventually("all wait", || pool.stats().waiting as usize == CROWD || Instant::now() > deadline);
    });
    assert_eq!(late.into_inner(), 0);
    assert_eq!((pool.stats().timed_out as usize, pool.stats().waiting), (CROWD, 0));
    drop(held);
    server.assert_no_leaks(&pool);
}

#[test]
fn closing_the_pool_wakes_a_hundred_waiters_at_once() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let held = hold(&pool, 1);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..100).map(|_| scope.spawn(|| pool.get())).collect();
        eventually("all wait", || pool.stats().waiting == 100);
        let ((), took) = timed(|| {
            pool.close();
            for waiter in waiters {
                assert!(waiter.join().unwrap().unwrap_err().is_closed());
            }
        });
        assert!(took < SLACK, "{took:?}");
    });
    drop(held);
}

#[test]
fn one_more_than_max_waiters_is_refused_at_once() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).max_waiters(2).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 1);
    thread::scope(|scope| {
        let waiters = [(); 2].map(|()| scope.spawn(|| drop(pool.get().unwrap())));
        eventually("two wait", || pool.stats().waiting == 2);
        let (error, took) = timed(|| pool.get().unwrap_err());
        assert!(matches!(error, GetError::Overloaded(_)) && took < SLACK, "{error} after {took:?}");
        assert_eq!(pool.stats().overloaded, 1);
        drop(held);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
    drop(pool.get().unwrap());
}

#[test]
fn a_get_ends_by_its_deadline_whatever_the_driver_does() {
    for call in [Call::Connect, Call::Check, Call::Reset, Call::Close] {
        for verdict in [Outcome::Never, Outcome::Stuck] {
            let server = FakeServer::new();
            server.allow(1);
            let pool = builder().max_size(1).check_after(Duration::ZERO).build_lazy(server.manager()).unwrap();
            if call != Call::Connect {
                pool.get().unwrap().litter();
                if call == Call::Close {
                    pool.evict_all();
                }
            }
            server.order(call, verdict);
            for timeout in [ms(1), ms(50)] {
                let (outcome, took) = timed(|| pool.get_timeout(timeout));
                assert!(took < timeout + SLACK, "{call:?} {verdict:?}: {took:?}");
                assert!(outcome.is_ok() || took >= timeout, "{call:?} {verdict:?}: too soon, {took:?}");
            }
        }
    }
}

#[test]
fn time_outs_of_zero_and_a_nanosecond_return_at_once_and_the_longest_waits() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 1);
    for timeout in [Duration::ZERO, Duration::from_nanos(1)] {
        let (error, took) = timed(|| pool.get_timeout(timeout).unwrap_err());
        assert!(error.is_timeout() && took < SLACK, "{error} after {took:?}");
    }
    for timeout in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(u64::MAX / 4)] {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| pool.get_timeout(timeout).map(drop));
            eventually("it waits", || pool.stats().waiting == 1);
            pool.set_max_size(2).unwrap();
            waiter.join().unwrap().unwrap();
            pool.set_max_size(1).unwrap();
            eventually("the surplus is gone", || pool.stats().open == 1);
        });
    }
    drop(held);
}

#[test]
fn try_get_takes_only_what_is_idle_and_fresh_and_sets_the_rest_going() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).check_after(ms(30)).build_lazy(server.manager()).unwrap();
    assert!(pool.try_get().unwrap().is_none(), "nothing is open yet");
    eventually("one was opened for the next call", || pool.try_get().unwrap().is_some());
    assert_eq!(server.count(Call::Connect), 1);

    // Proved too long ago, so it is checked first.
    let stale = Instant::now() + ms(31);
    eventually("it is stale", || Instant::now() > stale);
    let checks = server.count(Call::Check);
    assert!(pool.try_get().unwrap().is_none());
    eventually("a check was set going", || pool.try_get().unwrap().is_some());
    assert!(server.count(Call::Check) > checks);

    let held = hold(&pool, 2);
    let (nothing, took) = timed(|| pool.try_get());
    assert!(nothing.unwrap().is_none() && took < SLACK);
    assert_eq!(pool.stats().waiting, 0, "try_get leaves no waiter in the queue");
    drop(held);
    pool.close();
    assert!(pool.try_get().is_err_and(|error| error.is_closed()));
}

#[test]
fn one_who_was_given_a_dead_connection_has_its_place_again_however_many_wait() {
    /// The fourth look at a connection (the first is a worker's) blocks until the test has met it twice at the barrier, and finds it
    /// broken.
    #[derive(Clone)]
    struct Doubted(Arc<AtomicUsize>, Arc<Barrier>);
    impl cabrank::Manager for Doubted {
        type Connection = u8;
        type Error = std::io::Error;

        fn connect(&self, _: &cabrank::Limit) -> std::io::Result<u8> {
            Ok(0)
        }
        fn is_valid(&self, _: &mut u8, _: &cabrank::Limit) -> std::io::Result<()> {
            Ok(())
        }
        fn has_broken(&self, _: &mut u8) -> bool {
            let fourth = self.0.fetch_add(1, Ordering::SeqCst) == 3;
            (0..2 * usize::from(fourth)).for_each(|_| _ = self.1.wait());
            fourth
        }
    }
    let doubted = Doubted(Arc::default(), Arc::new(Barrier::new(2)));
    let meeting = Arc::clone(&doubted.1);
    let pool = cabrank::Pool::builder().max_size(1).max_waiters(1).build_lazy(doubted).unwrap();
    let held = pool.get().unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(|| pool.get().map(drop));
        eventually("the first waits", || pool.stats().waiting == 1);
        drop(held);
        meeting.wait();
        let second = scope.spawn(|| pool.get().map(drop));
        eventually("the second waits", || pool.stats().waiting == 1);
        meeting.wait();
        first.join().unwrap().expect("it was let in before");
        second.join().unwrap().expect("it was let in, too");
    });
    let stats = pool.stats();
    assert_eq!((stats.overloaded, stats.rejected_at_checkout, stats.opened), (0, 1, 2));
}

#[test]
fn threads_that_hold_one_and_want_another_all_time_out_and_are_told() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 4);
    let hold_all = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let _outer = pool.get().unwrap();
                hold_all.wait();
                let (error, took) = timed(|| pool.get_timeout(ms(100)).unwrap_err());
                assert!(took < ms(100) + SLACK, "{took:?}");
                let report = error.report().expect("a time-out has a report");
                assert_eq!(report.held_by_this_thread, 1);
                assert!(error.to_string().contains("this thread itself seems to hold 1"), "{error}");
                hold_all.wait();
            });
        }
    });
    server.assert_no_leaks(&pool);
}

#[test]
fn with_one_connection_more_than_nesting_needs_nobody_fails() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 5);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let _outer = pool.get().unwrap();
                    let _inner = pool.get().unwrap();
                }
            });
        }
    });
}

#[test]
fn a_guard_dropped_while_its_thread_ends_comes_back() {
    thread_local!(static KEPT: std::cell::RefCell<Option<crate::support::Guard>> = const { std::cell::RefCell::new(None) });
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    thread::scope(|scope| {
        scope.spawn(|| KEPT.with(|kept| *kept.borrow_mut() = Some(pool.get().unwrap()))).join().unwrap();
    });
    drop(pool.get().unwrap());
    assert_eq!(pool.stats().opened, 1);
}

fn small() -> thread::Builder {
    thread::Builder::new().stack_size(128 * 1024)
}

const CROWD: usize = 10_000;

/// Each thread takes about four memory maps, of which a process may have some 65,000: one crowd at a time.
static CROWDED: Mutex<()> = Mutex::new(());

#[test]
fn the_event_of_a_loan_says_how_long_its_borrower_has_waited() {
    #[derive(Default)]
    struct Waits(Mutex<Vec<Duration>>);
    impl EventHandler for Waits {
        fn checked_out(&self, event: &CheckedOut<'_>) {
            self.0.lock().unwrap().push(event.waited);
        }
    }
    let (server, waits) = (FakeServer::new(), Arc::new(Waits::default()));
    let pool = builder().max_size(1).event_handler(waits.clone()).build_lazy(server.manager()).unwrap();
    let held = pool.get().unwrap();
    std::thread::scope(|scope| {
        let asked = Instant::now();
        scope.spawn(|| drop(pool.get().unwrap()));
        eventually("one waits", || pool.stats().waiting == 1);
        drop(held);
        eventually("it is served", || waits.0.lock().unwrap().len() == 2);
        let waited = waits.0.lock().unwrap()[1];
        assert!(waited > Duration::ZERO && waited <= asked.elapsed(), "{waited:?}");
    });
    drop(pool.get().unwrap());
    assert_eq!(waits.0.lock().unwrap()[2], Duration::ZERO);
}
