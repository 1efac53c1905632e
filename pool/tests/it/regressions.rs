//! Faults that were once found by searching, and must not return.

use crate::support::{Pool, SLACK, builder, hold, ms};
use cabrank::{AbortHandle, EventHandler, Fault, Holder, Limit, Manager, PooledConnection};
use cabrank_testing::fake::{Call, FakeServer, Orders, Outcome};
use cabrank_testing::{eventually, timed};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

#[test]
fn a_shrunk_pool_still_ends_the_calls_that_a_larger_one_began() {
    let server = FakeServer::new();
    server.allow(16);
    let pool = builder().max_size(16).close_timeout(ms(100)).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 16);
    server.order(Call::Close, Outcome::Never);
    pool.set_max_size(1).unwrap();
    drop(held);
    // Once only two threads served sixteen hung goodbyes, and none was left to end them.
    eventually("each is aborted", || pool.stats().closing == 0);
}

#[test]
fn a_handler_that_is_told_of_a_leak_and_does_not_return_holds_up_no_alarm() {
    struct Deaf(Orders);
    impl EventHandler for Deaf {
        fn leaked(&self, _: &str, _: &Holder) {
            let _ = self.0.obey(Call::Event);
        }
    }
    let server = FakeServer::new();
    server.allow(4);
    server.order(Call::Event, Outcome::Stuck);
    let deaf = Arc::new(Deaf(server.orders()));
    let pool = builder().max_size(4).leak_after(ms(50)).event_handler(deaf).build_lazy(server.manager()).unwrap();
    let first = pool.get().unwrap();
    eventually("the handler is called", || server.now_in(Call::Event) == 1);
    // The next attempt is due after a pause, which only an alarm ends.
    server.next(Call::Connect, Outcome::Err(Fault::Unavailable));
    assert!(pool.get_timeout(Duration::from_secs(5)).is_ok());
    drop(first);
}

#[test]
fn a_pool_closed_by_a_leak_handler_leaves_no_thread_to_wait_for_its_maintenance() {
    struct Closer(OnceLock<Pool>);
    impl EventHandler for Closer {
        fn leaked(&self, _: &str, _: &Holder) {
            self.0.get().unwrap().close();
        }
    }
    let server = FakeServer::new();
    server.allow(2);
    let closer = Arc::new(Closer(OnceLock::new()));
    let settings = builder().max_size(2).leak_after(ms(50)).event_handler(Arc::clone(&closer) as _);
    let pool = settings.build_lazy(server.manager()).unwrap();
    let _ = closer.0.set(pool.clone());
    let mut two = hold(&pool, 2);
    drop(two.pop()); // An idle one, whose time-out is an alarm in ten minutes.
    eventually("the handler has closed it", || pool.is_closed());
    drop(two);
    let report = pool.close_within(Duration::from_secs(5));
    assert!(report.is_clean(), "{report}");
}

#[test]
fn close_within_in_a_hook_leaves_the_loans_alone() {
    struct Closer(OnceLock<Pool>, AtomicBool);
    impl EventHandler for Closer {
        fn leaked(&self, _: &str, _: &Holder) {
            let report = self.0.get().unwrap().close_within(Duration::from_secs(60));
            self.1.store(report.left.len() == 1 && report.aborted.is_empty(), Ordering::SeqCst);
        }
    }
    let server = FakeServer::new();
    let closer = Arc::new(Closer(OnceLock::new(), AtomicBool::new(false)));
    let settings = builder().max_size(1).leak_after(ms(20)).event_handler(Arc::clone(&closer) as _);
    let pool = settings.build_lazy(server.manager()).unwrap();
    let _ = closer.0.set(pool.clone());
    let mut conn = pool.get().unwrap();
    eventually("the handler has the report of what is left", || closer.1.load(Ordering::SeqCst));
    conn.query().expect("nobody aborted it");
}

#[test]
fn a_loan_that_was_aborted_and_is_still_out_is_left_and_gets_no_goodbye() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).build_lazy(server.manager()).unwrap();
    let conn = pool.get().unwrap();
    let report = pool.close_within(ms(100));
    assert_eq!((report.aborted.len(), report.left.len(), report.connections_left), (1, 1, 1), "{report}");
    drop(conn);
    eventually("it is gone", || pool.stats().aborted == 0);
    assert_eq!(server.count(Call::Close), 0, "there is no session left to say goodbye to");
}

#[test]
fn a_cancel_that_hangs_is_aborted_at_its_limit() {
    let (abort, is_aborted) = channel();
    let is_aborted = std::sync::Mutex::new(is_aborted);
    let pool = cabrank::Pool::builder().max_size(1).build_lazy(Aside(Arc::new(move |limit: &Limit| {
        let abort = abort.clone();
        limit.on_abort(move || abort.send(()).unwrap());
        // Like a side connection into a black hole: it ends when aborted, or never.
        let _ = is_aborted.lock().unwrap().recv_timeout(Duration::from_secs(30));
        false
    })));
    let pool = pool.unwrap();
    let conn = pool.get().unwrap();
    thread::scope(|scope| {
        let closing = scope.spawn(|| timed(|| pool.close_within(ms(400))));
        let (report, took) = closing.join().unwrap();
        assert!(took < ms(400) + SLACK && report.cancelled.is_empty(), "{report} {took:?}");
    });
    drop(conn);
    assert_eq!(pool.close_within(Duration::from_secs(5)).threads_left, 0, "the cancel has ended");
}

#[test]
fn a_lone_waiter_behind_a_connect_that_hangs_is_served_by_another() {
    let server = FakeServer::new();
    server.allow(2);
    let pool = builder().max_size(2).connect_timeout(Duration::from_secs(10)).build_lazy(server.manager()).unwrap();
    server.next(Call::Connect, Outcome::Never);
    let (conn, took) = timed(|| pool.get());
    // Within a second a slow server cannot be distinguished from a hung attempt.
    assert!(conn.is_ok() && took < ms(1_000) + SLACK, "{took:?}");
}

#[test]
fn calls_that_are_given_up_and_never_return_come_to_an_end() {
    let server = FakeServer::new();
    server.allow(1);
    let settings = builder().max_size(1).connect_timeout(ms(10)).backoff(ms(10), ms(10));
    let pool = settings.on_open(server.set_up()).build_lazy(server.manager()).unwrap();
    server.order(Call::OnOpen, Outcome::Stuck);
    assert!(pool.get_timeout(Duration::from_secs(2)).is_err());
    assert!((2..=8).contains(&pool.stats().aborted), "{:?}", pool.stats().aborted);
    server.heal();
    server.release(Call::OnOpen);
    assert!(pool.get_timeout(Duration::from_secs(10)).is_ok(), "and when they have returned, all is well");
}

#[test]
fn detaching_and_a_time_out_of_zero_are_told() {
    let server = FakeServer::new();
    let recorder = server.recorder();
    let pool = builder().max_size(1).event_handler(Arc::clone(&recorder) as _).build_lazy(server.manager()).unwrap();
    let conn = pool.get().unwrap();
    assert!(pool.get_timeout(Duration::ZERO).is_err());
    PooledConnection::detach(conn).say_goodbye();

    assert_eq!(
        (recorder.count("timed out"), recorder.count("checked in"), recorder.count("closed")),
        (1, 1, 1),
        "{:?}",
        recorder.events()
    );
}

/// A driver whose abort handle can only request a cancel.
struct Aside(Arc<dyn Fn(&Limit) -> bool + Send + Sync>);

struct AsideHandle(Arc<dyn Fn(&Limit) -> bool + Send + Sync>);

impl AbortHandle for AsideHandle {
    fn cancel(&self, limit: &Limit) -> bool {
        (self.0)(limit)
    }
    fn abort(&self) {}
}

impl Manager for Aside {
    type Connection = u8;
    type Error = std::io::Error;

    fn connect(&self, _: &Limit) -> std::io::Result<u8> {
        Ok(0)
    }
    fn is_valid(&self, _: &mut u8, _: &Limit) -> std::io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut u8) -> bool {
        false
    }
    fn abort_handle(&self, _: &u8) -> Option<Box<dyn AbortHandle>> {
        Some(Box::new(AsideHandle(Arc::clone(&self.0))))
    }
}
