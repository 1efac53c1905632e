//! Panics from any place, and forgotten guards: no slot is lost except those of forgotten guards.

use crate::stale::pass;
use crate::support::{builder, closed_by, hold, ms};
use cabrank::{CloseReason, GetError, PooledConnection};
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use cabrank_testing::panics::ORDERED;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

#[test]
fn a_panic_while_holding_a_guard_closes_the_connection_and_gives_the_slot_back() {
    let server = FakeServer::new();
    server.allow(1);
    let pool = builder().max_size(1).build_lazy(server.manager()).unwrap();
    let calls = [Call::HasBroken, Call::Session, Call::Reset];
    let (mut id, mut before) = (0, [0; 3]);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let conn = pool.get().unwrap();
        id = conn.id;
        before = calls.map(|call| server.count(call));
        calls.iter().for_each(|&call| server.order(call, Outcome::Panic));
        panic!("{ORDERED}");
    }));
    assert!(outcome.is_err(), "and a second panic in the driver would have aborted");
    assert_eq!(calls.map(|call| server.count(call)), before, "no driver code runs while the thread unwinds");
    server.heal();
    assert_ne!(pool.get().unwrap().id, id, "no borrower gets a connection left by a panic");
    assert_eq!(closed_by(&pool, CloseReason::Panicked), 1);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_connection_borrowed_and_returned_in_a_destructor_during_a_panic_is_closed_too() {
    struct Borrows<'a>(&'a crate::support::Pool);
    impl Drop for Borrows<'_> {
        fn drop(&mut self) {
            drop(self.0.get().unwrap());
        }
    }
    let server = FakeServer::new();
    let pool = builder().max_size(1).build_lazy(server.manager()).unwrap();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _borrows = Borrows(&pool);
        panic!("{ORDERED}");
    }));
    assert!(outcome.is_err());
    assert_eq!(closed_by(&pool, CloseReason::Panicked), 1);
    server.assert_no_leaks(&pool);
}

#[test]
fn what_a_panicking_holder_left_running_is_cancelled_once_its_connection_is_aborted() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).build_lazy(server.manager()).unwrap();
    panics_with_one_of(&pool);
    eventually("the cancel is sent", || server.count(Call::Cancel) == 1);
    assert!(server.times(Call::Abort)[0] <= server.times(Call::Cancel)[0]);
    PooledConnection::discard(pool.get().unwrap());
    server.assert_no_leaks(&pool);
    assert_eq!(
        (server.count(Call::Cancel), server.count(Call::Close)),
        (1, 1),
        "nothing runs on the other connections"
    );
}

#[test]
fn cancels_that_hang_after_panics_hold_up_no_loan_and_no_goodbye() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).close_timeout(ms(50)).build_lazy(server.manager()).unwrap();
    server.order(Call::Cancel, Outcome::Stuck);
    (0..6).for_each(|_| panics_with_one_of(&pool));
    PooledConnection::discard(pool.get().unwrap());
    eventually("all hang, and one connection is closed", || {
        server.now_in(Call::Cancel) == 6 && server.count(Call::Close) == 1
    });
    drop(pool.get().unwrap());
    server.heal();
    server.assert_no_leaks(&pool);
    server.assert_closes_clean(&pool);
}

fn panics_with_one_of(pool: &crate::support::Pool) {
    let conn = pool.get().unwrap();
    let outcome = catch_unwind(AssertUnwindSafe(move || {
        let _conn = conn;
        panic!("{ORDERED}");
    }));
    assert!(outcome.is_err());
}

#[test]
fn a_panic_in_any_method_of_the_manager_costs_at_most_that_connection() {
    for call in [
        Call::Connect,
        Call::Check,
        Call::HasBroken,
        Call::Session,
        Call::Reset,
        Call::Close,
        Call::Fault,
        Call::AbortHandle,
        Call::Abort,
        Call::CanAbort,
        Call::Destroy,
        Call::OnOpen,
        Call::Event,
    ] {
        let server = FakeServer::new();
        server.allow(2);
        let pool = builder()
            .max_size(2)
            .check_after(Duration::ZERO)
            .backoff(ms(10), ms(10))
            .on_open(server.set_up())
            .event_handler(server.recorder())
            .build_lazy(server.manager())
            .unwrap();
        // As often as there are slots, and more.
        for _ in 0..5 {
            server.next(call, Outcome::Panic);
            if call == Call::Fault {
                server.next(Call::Connect, Outcome::Err(cabrank::Fault::Unavailable));
            }
            for mut conn in hold(&pool, 2) {
                conn.litter();
                PooledConnection::report_error(
                    &mut conn,
                    &cabrank_testing::fake::FakeError { call, fault: cabrank::Fault::Statement },
                );
            }
            drop(hold(&pool, 2));
            pool.evict_all();
        }
        assert!(server.count(call) > 0 || call == Call::Abort, "{call:?} was never called");
        server.heal();
        server.assert_no_leaks(&pool);
        server.assert_closes_clean(&pool);
    }
}

#[test]
fn waiters_of_a_manager_that_panics_while_connecting_are_told_so() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).build_lazy(server.manager()).unwrap();
    server.order(Call::Connect, Outcome::Panic);
    let error = pool.get_timeout(ms(100)).unwrap_err();
    assert!(matches!(error, GetError::Timeout(_)));
    assert!(format!("{error:?}").contains("panicked while connecting: as ordered: Connect"), "{error:?}");
    server.heal();
    server.assert_no_leaks(&pool);
}

#[test]
fn a_panic_in_the_event_handler_disturbs_nobody() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).event_handler(server.recorder()).build_lazy(server.manager()).unwrap();
    server.order(Call::Event, Outcome::Panic);
    for _ in 0..10 {
        drop(hold(&pool, 2));
    }
    let held = hold(&pool, 2);
    assert!(pool.get_timeout(ms(1)).unwrap_err().is_timeout());
    drop(held);
    assert!(server.count(Call::Event) >= 43, "all events were sent");
    assert_eq!(pool.stats().opened, 2);
    server.assert_closes_clean(&pool);
}

#[test]
fn a_forgotten_guard_is_reported_once_with_its_call_site_and_costs_its_slot_only() {
    let server = FakeServer::new();
    server.allow(3);
    let recorder = server.recorder();
    let pool =
        builder().max_size(3).leak_after(ms(40)).event_handler(recorder.clone()).build_lazy(server.manager()).unwrap();
    let line = line!() + 2;
    for _ in 0..2 {
        std::mem::forget(pool.get().unwrap());
    }
    eventually("both are reported", || pool.stats().leaks == 2);
    pass(ms(150));
    let leaks: Vec<String> = recorder.events().into_iter().filter(|line| line.starts_with("leaked")).collect();
    assert_eq!(leaks.len(), 2, "each once: {leaks:?}");
    assert!(leaks.iter().all(|leak| leak.contains(&format!("{}:{line}:", file!()))), "{leaks:?}");
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.leaks), (2, 2));
    // The third connection continues to serve, and is not reported for short loans.
    for _ in 0..100 {
        drop(pool.get().unwrap());
    }
    assert!(pool.get_timeout(ms(1)).is_ok());
    assert_eq!(pool.holders().len(), 2);
    // Another leak later: earlier ones are not reported again with it.
    let third = hold(&pool, 1);
    eventually("the third is reported", || recorder.count("leaked cabrank: connection 3 ") == 1);
    assert_eq!((pool.stats().leaks, recorder.count("leaked")), (3, 3));
    drop(third);
    let report = pool.close_within(ms(200));
    assert_eq!(report.aborted.len(), 2, "{report}");
    assert_eq!(server.live(), 0, "no session outlives the pool, forgotten or not");
}

#[test]
fn a_loan_that_is_reported_may_still_come_back() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).leak_after(ms(10)).build_lazy(server.manager()).unwrap();
    for leaks in 1..=2 {
        let held = hold(&pool, 1);
        eventually("it is reported", || pool.stats().leaks == leaks);
        drop(held);
    }
    assert_eq!(pool.stats().opened, 1);
    server.assert_no_leaks(&pool);
}
