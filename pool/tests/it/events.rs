//! What the pool tells its event handler while it works. (For `tracing` see `tests/tracing.rs`.)

use crate::support::{builder, hold, ms};
use cabrank::{Fault, PooledConnection};
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn every_event_is_told_with_what_it_is_about() {
    let server = FakeServer::new();
    let recorder = server.recorder();
    let pool = builder()
        .max_size(1)
        .max_waiters(1)
        .check_after(Duration::ZERO)
        .leak_after(ms(30))
        .on_open(server.set_up())
        .event_handler(recorder.clone())
        .build_lazy(server.manager())
        .unwrap();
    server.next(Call::Connect, Outcome::Err(Fault::Unavailable));
    drop(pool.get().unwrap());
    pool.get().unwrap().litter();
    eventually("it is reset", || recorder.count("reset 1: ok") == 1);
    server.next(Call::Reset, Outcome::Err(Fault::Statement));
    pool.get().unwrap().litter();
    eventually("it is closed", || recorder.count("closed 1: reset_failed after 3") == 1);
    server.next(Call::Check, Outcome::Err(Fault::Fatal));
    drop(pool.get().unwrap());
    let held = hold(&pool, 1);
    assert!(pool.get_timeout(ms(1)).is_err());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.get());
        eventually("one waits", || pool.stats().waiting == 1);
        assert!(pool.get().is_err());
        eventually("it is reported", || recorder.count("leaked cabrank: connection 3 checked out at ") == 1);
        drop(held);
        PooledConnection::discard(waiter.join().unwrap().unwrap());
    });
    eventually("all is told", || recorder.count("closed") == 3);
    for (line, least) in [
        ("open failed: Connect failed: Unavailable", 1),
        ("opened 1", 1),
        ("opened 2", 1),
        ("opened 3", 1),
        ("checked out 1", 3),
        ("checked in 1", 3),
        ("checked 1: ok", 2),
        ("checked 2: Check failed: Fatal", 1),
        ("reset 1: Reset failed: Statement", 1),
        ("closed 2: check_failed after 1", 1),
        ("closed 3: discarded after 2", 1),
        ("timed out: pool \"cabrank\" of 1 has 1 in use", 1),
        ("overloaded: pool \"cabrank\" of 1 has 1 in use", 1),
    ] {
        assert_eq!(recorder.count(line), least, "{line:?} in {:#?}", recorder.events());
    }
    server.assert_closes_clean(&pool);
}

#[test]
fn events_of_loans_come_in_the_callers_thread_and_the_others_in_a_worker() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).event_handler(server.recorder()).build_lazy(server.manager()).unwrap();
    drop(pool.get().unwrap());
    assert_eq!(server.by_thread(Call::Event), (1, 2), "opened; checked out, checked in");
}

#[test]
fn an_event_handler_may_use_the_pool() {
    struct Asks(Mutex<Option<crate::support::Pool>>, Mutex<Vec<u32>>);
    impl cabrank::EventHandler for Asks {
        fn closed(&self, _: &cabrank::ConnectionClosed<'_>) {
            if let Some(pool) = self.0.lock().unwrap().as_ref() {
                pool.evict_all();
                self.1.lock().unwrap().push(pool.stats().open);
            }
        }
        fn checked_in(&self, _: &cabrank::CheckedIn<'_>) {
            if let Some(pool) = self.0.lock().unwrap().as_ref() {
                let _ = (pool.stats(), pool.holders(), pool.try_get().map(PooledConnection::discard));
            }
        }
    }
    let server = FakeServer::new();
    let asks = Arc::new(Asks(Mutex::default(), Mutex::default()));
    let pool = builder().max_size(2).event_handler(asks.clone()).build_lazy(server.manager()).unwrap();
    // Within the handler the lock of `Asks` is held: a handler that is told of what it does itself would block.
    *asks.0.lock().unwrap() = Some(pool.clone());
    let conn = pool.get().unwrap();
    PooledConnection::discard(conn);
    eventually("it was told", || !asks.1.lock().unwrap().is_empty());
    asks.0.lock().unwrap().take();
    server.assert_closes_clean(&pool);
}
