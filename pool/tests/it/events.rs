//! The events that a working pool sends to its handler. (For `tracing` see `tests/tracing.rs`.)

use crate::support::{builder, hold, ms};
use cabrank::{Fault, PooledConnection};
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use cabrank_testing::{Recorder, eventually};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
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
    eventually("all events have arrived", || recorder.count("closed") == 3);
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
        ("timed out: pool \"cabrank\" (max_size 1) has 1 in use", 1),
        ("overloaded: pool \"cabrank\" (max_size 1) has 1 in use", 1),
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
                let _ = (pool.stats(), pool.holders(), pool.try_get().ok().flatten().map(PooledConnection::discard));
            }
        }
    }
    let server = FakeServer::new();
    let asks = Arc::new(Asks(Mutex::default(), Mutex::default()));
    let pool = builder().max_size(2).event_handler(asks.clone()).build_lazy(server.manager()).unwrap();
    // The handler holds the lock of `Asks`: it would block if its own actions reached it as events.
    *asks.0.lock().unwrap() = Some(pool.clone());
    let conn = pool.get().unwrap();
    PooledConnection::discard(conn);
    eventually("the event has arrived", || !asks.1.lock().unwrap().is_empty());
    asks.0.lock().unwrap().take();
    server.assert_closes_clean(&pool);
}

#[test]
fn a_request_that_another_pools_handler_makes_of_a_refusal_is_told_too() {
    /// Makes a request of the other pool on each refusal by its own.
    #[derive(Default)]
    struct AsksTheOther(Mutex<Option<crate::support::Pool>>, Mutex<Vec<cabrank::RefusalReason>>);
    impl cabrank::EventHandler for AsksTheOther {
        fn refused(&self, event: &cabrank::Refused<'_>) {
            self.1.lock().unwrap().push(event.reason);
            let other = self.0.lock().unwrap().clone().expect("it has the other");
            assert!(other.get().unwrap_err().is_closed());
        }
    }
    let server = FakeServer::new();
    let handlers = [Arc::new(AsksTheOther::default()), Arc::new(AsksTheOther::default())];
    let pools =
        handlers.each_ref().map(|own| builder().event_handler(own.clone()).build_lazy(server.manager()).unwrap());
    for (handler, other) in handlers.iter().zip(pools.iter().rev()) {
        *handler.0.lock().unwrap() = Some(other.clone());
        other.close();
    }
    assert!(pools[0].get().unwrap_err().is_closed());
    // The second handler's own request, to the first pool, is only counted.
    let told = handlers.each_ref().map(|handler| handler.1.lock().unwrap().clone());
    assert_eq!(told, [[cabrank::RefusalReason::Closed]; 2]);
    assert_eq!(pools.each_ref().map(|pool| pool.stats().refused_closed), [2, 1]);
    // A refusal outside of a handler causes an event again.
    assert!(pools[0].get().unwrap_err().is_closed());
    assert_eq!(handlers[0].1.lock().unwrap().len(), 2);
    for handler in &handlers {
        handler.0.lock().unwrap().take();
    }
}

#[test]
fn every_request_ends_in_one_counter_and_one_event() {
    let server = FakeServer::new();
    let recorder = server.recorder();
    let pool = builder()
        .max_size(1)
        .max_waiters(1)
        .event_handler(Arc::clone(&recorder) as _)
        .on_open(server.set_up())
        .build_lazy(server.manager())
        .unwrap();
    let mut requests = 0;
    let mut ask = |asked: u32| requests += u64::from(asked);
    // Served while waiting, served at once, timed out twice, and none available for a request that does not wait.
    drop(pool.get().unwrap());
    let held = pool.get().unwrap();
    assert!(pool.get_timeout(ms(1)).is_err() && pool.get_timeout(Duration::ZERO).is_err());
    assert!(pool.try_get().unwrap().is_none());
    ask(5);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.get());
        eventually("one waits", || pool.stats().waiting == 1);
        assert!(matches!(pool.get(), Err(cabrank::GetError::Overloaded(_))));
        drop(held);
        drop(waiter.join().unwrap().unwrap());
    });
    drop(pool.try_get().unwrap().unwrap());
    ask(3);
    // A dead connection and then another: that is one request.
    server.next(Call::HasBroken, Outcome::Err(Fault::Fatal));
    drop(pool.get().unwrap());
    ask(1);
    // Nothing can be opened: one waiter is refused, one request at once, and one that does not wait.
    server.order(Call::Connect, Outcome::Err(Fault::Permanent));
    pool.evict_all();
    assert!(matches!(pool.get(), Err(cabrank::GetError::Connect(_))));
    assert!(matches!(pool.get(), Err(cabrank::GetError::Connect(_))));
    assert!(matches!(pool.try_get(), Err(cabrank::GetError::Connect(_))));
    ask(3);
    server.heal();
    pool.evict_all();
    drop(pool.get().unwrap());
    ask(1);
    // Dropped while waiting.
    let held = pool.get().unwrap();
    let mut future = Box::pin(pool.get_async());
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(future);
    // Closed while one waits, and afterwards.
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.get());
        eventually("one waits", || pool.stats().waiting == 1);
        pool.close();
        assert!(waiter.join().unwrap().unwrap_err().is_closed());
    });
    assert!(pool.get().is_err() && pool.try_get().is_err_and(|error| error.is_closed()));
    ask(5);
    drop(held);

    let stats = pool.stats();
    let served = stats.checked_out_at_once + stats.checked_out_after_waiting - stats.rejected_at_checkout;
    let counted = [
        (served, "checked out"),
        (stats.timed_out, "timed out"),
        (stats.overloaded, "overloaded"),
        (stats.refused, "refused: connect"),
        (stats.refused_closed, "refused: closed"),
        (stats.not_available, "refused: not_available"),
        (stats.called_from_hook, "refused: called_from_hook"),
        (stats.cancelled, "refused: cancelled"),
    ];
    for (count, event) in counted {
        assert_eq!(recorder.count(event) as u64, count, "{event:?} in {:#?}", recorder.events());
    }
    assert_eq!(counted.map(|(count, _)| count), [7, 2, 1, 3, 3, 1, 0, 1]);
    // The replacement may be open before its borrower, on a busy machine, has queued for it.
    let (at_once, after_waiting) = (stats.checked_out_at_once, stats.checked_out_after_waiting);
    assert!([(4, 4), (5, 3)].contains(&(at_once, after_waiting)), "{at_once} {after_waiting}");
    assert_eq!(counted.iter().map(|(count, _)| count).sum::<u64>(), requests);
    server.assert_closes_clean(&pool);
}

#[test]
fn a_request_of_a_handler_that_hears_of_a_time_out_or_of_an_overload_is_counted_alone() {
    /// Makes requests of its own pool, unless that recurses.
    #[derive(Default)]
    struct AsksAgain(Mutex<Option<crate::support::Pool>>, Mutex<Vec<&'static str>>);
    impl AsksAgain {
        fn hear(&self, event: &'static str) {
            let mut heard = self.1.lock().unwrap();
            heard.push(event);
            if heard.len() < 10 {
                drop(heard);
                let pool = self.0.lock().unwrap().clone().expect("it has its pool");
                assert!(pool.get_timeout(Duration::ZERO).is_err());
                assert!(pool.get_timeout(ms(1)).is_err());
            }
        }
    }
    impl cabrank::EventHandler for AsksAgain {
        fn timed_out(&self, _: &cabrank::Report) {
            self.hear("timed out");
        }
        fn overloaded(&self, _: &cabrank::Report) {
            self.hear("overloaded");
        }
    }
    let server = FakeServer::new();
    let asks = Arc::new(AsksAgain::default());
    let pool = builder().max_size(1).max_waiters(1).event_handler(asks.clone()).build_lazy(server.manager()).unwrap();
    *asks.0.lock().unwrap() = Some(pool.clone());
    let held = pool.get().unwrap();
    assert!(pool.get_timeout(Duration::ZERO).is_err());
    assert_eq!(*asks.1.lock().unwrap(), ["timed out"]);
    assert_eq!(pool.stats().timed_out, 3);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.get().map(drop));
        eventually("one waits", || pool.stats().waiting == 1);
        assert!(pool.get().is_err());
        drop(held);
        waiter.join().unwrap().unwrap();
    });
    assert_eq!(*asks.1.lock().unwrap(), ["timed out", "overloaded"]);
    assert_eq!((pool.stats().timed_out, pool.stats().overloaded), (4, 2));
    asks.0.lock().unwrap().take();
    server.assert_closes_clean(&pool);
}

#[test]
fn a_request_that_is_refused_in_a_hook_is_counted_and_told_once() {
    /// Makes a request in the worker that opens a connection, and another when that is refused.
    struct Asks(Mutex<Option<crate::support::Pool>>, Arc<cabrank_testing::Recorder>);
    impl Asks {
        fn ask(&self) {
            let pool = self.0.lock().unwrap().clone().expect("it has its pool");
            assert!(matches!(pool.get(), Err(cabrank::GetError::CalledFromHook)));
        }
    }
    impl cabrank::EventHandler for Asks {
        fn opened(&self, _: &cabrank::Opened<'_>) {
            self.ask();
        }
        fn refused(&self, event: &cabrank::Refused<'_>) {
            cabrank::EventHandler::refused(&*self.1, event);
            self.ask();
        }
    }
    let server = FakeServer::new();
    let asks = Arc::new(Asks(Mutex::default(), cabrank_testing::Recorder::new()));
    let pool = builder().max_size(1).event_handler(asks.clone()).build_lazy(server.manager()).unwrap();
    *asks.0.lock().unwrap() = Some(pool.clone());
    drop(pool.get().unwrap());
    assert_eq!(asks.1.events(), ["refused: called_from_hook"]);
    assert_eq!(pool.stats().called_from_hook, 2);
    asks.0.lock().unwrap().take();
    server.assert_closes_clean(&pool);
}

#[test]
fn each_of_several_handlers_is_told_in_order_and_a_panic_of_one_is_its_own() {
    let (server, first, last) = (FakeServer::new(), Recorder::new(), Recorder::new());
    let panicking = server.recorder();
    server.order(Call::Event, Outcome::Panic);
    let handlers = builder().max_size(1).event_handler(first.clone()).event_handler(panicking.clone());
    let pool = handlers.event_handler(last.clone()).build(server.manager()).unwrap();
    drop(pool.get().unwrap());
    let held = pool.get().unwrap();
    assert!(pool.get_timeout(Duration::ZERO).is_err());
    drop(held);
    pool.close();
    // A worker sends this event, possibly between two events of this thread.
    eventually("the last event has arrived", || last.count("closed") == 1);
    assert!(pool.get().is_err());
    for event in ["opened", "checked out", "checked in", "timed out", "refused", "closed"] {
        assert!(first.count(event) > 0, "{event}: {:?}", first.events());
    }
    assert_eq!(first.events(), last.events());
    assert_eq!(first.events(), panicking.events());
}
