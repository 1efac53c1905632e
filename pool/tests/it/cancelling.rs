//! Cancelling a holder's statement: the cancel reaches the loan it was made for, and no later one.

use crate::support::{SLACK, builder, closed_by, ms};
use cabrank::{CancelOutcome, Canceller, CloseReason, Pool, PooledConnection, SessionPolicy};
use cabrank_testing::fake::{Call, FakeManager, FakeServer, Outcome};
use cabrank_testing::{eventually, timed};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

type Loan<const R: bool> = PooledConnection<FakeManager<R>>;

fn one<const R: bool>(manager: FakeManager<R>) -> Pool<FakeManager<R>> {
    Pool::builder().max_size(1).acquire_timeout(Duration::from_secs(10)).build_lazy(manager).unwrap()
}

fn canceller<const R: bool>(loan: &Loan<R>) -> Canceller {
    PooledConnection::canceller(loan).expect("the fake offers an abort handle")
}

/// Runs a statement that does not end on its own, and cancels it.
fn cancels_what_runs<const R: bool>(server: &FakeServer, loan: &mut Loan<R>, canceller: &Canceller) {
    thread::scope(|scope| {
        let running = scope.spawn(|| loan.query());
        eventually("it runs", || server.now_in(Call::Query) == 1);
        assert_eq!(canceller.cancel(LONG), CancelOutcome::Asked);
        running.join().unwrap().expect_err("it was cancelled");
    });
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_cancelled_statement_fails_and_its_connection_to_a_server_is_closed_when_it_is_returned() {
    let server = FakeServer::new();
    let recorder = server.recorder();
    let pool = builder().max_size(1).event_handler(recorder.clone()).build_lazy(server.manager()).unwrap();
    let mut loan = pool.get().unwrap();
    let (id, canceller) = (PooledConnection::id(&loan), canceller(&loan));
    server.order(Call::Query, Outcome::Never);
    cancels_what_runs(&server, &mut loan, &canceller);
    assert_eq!(server.by_thread(Call::Cancel), (1, 0), "a worker sends the cancel");
    drop(loan);
    assert_ne!(PooledConnection::id(&pool.get().unwrap()), id, "it was lent again");
    assert_eq!(closed_by(&pool, CloseReason::Cancelled), 1);
    assert_eq!(server.count(Call::Close), 1, "it is closed in good order");
    assert_eq!(recorder.count(&format!("closed {id}: cancelled")), 1, "{:?}", recorder.events());
    server.assert_closes_clean(&pool);
}

#[test]
fn an_engine_in_this_process_is_interrupted_in_the_callers_thread_and_its_connection_goes_on() {
    let server = FakeServer::new();
    let pool = one(server.engine());
    let mut loan = pool.get().unwrap();
    let (id, canceller) = (PooledConnection::id(&loan), canceller(&loan));
    server.next(Call::Query, Outcome::Never);
    cancels_what_runs(&server, &mut loan, &canceller);
    assert_eq!(server.by_thread(Call::Cancel), (0, 1));
    drop(loan);
    let mut next = pool.get().unwrap();
    assert_eq!(PooledConnection::id(&next), id);
    next.query().expect("the next holder is not cancelled");
    assert_eq!(canceller.cancel(LONG), CancelOutcome::LoanEnded);
    drop(next);
    assert_eq!(pool.stats().closed.total(), 0);
    server.assert_closes_clean(&pool);
}

/// Each way in which a loan may end.
fn ends<const R: bool>() -> [(&'static str, fn(Loan<R>)); 4] {
    [
        ("returned", drop),
        ("discarded", PooledConnection::discard),
        ("detached", |loan| {
            loan.say_goodbye();
            drop(PooledConnection::detach(loan));
        }),
        ("returned by a panicking thread", |loan| {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _loan = loan;
                panic!("ordered");
            }));
            assert!(panicked.is_err());
        }),
    ]
}

fn nothing_is_cancelled_after_the_loan<const R: bool>(manager: fn(&FakeServer) -> FakeManager<R>) {
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always, SessionPolicy::Never] {
        for (how, end) in ends::<R>() {
            let server = FakeServer::new();
            let pool = Pool::builder().max_size(1).session_policy(policy).build_lazy(manager(&server)).unwrap();
            let loan = pool.get().unwrap();
            let (first, second) = (canceller(&loan), canceller(&loan));
            end(loan);
            // If a holder panics, the pool itself cancels a statement left running before it drops the connection.
            let by_the_pool = usize::from(how == "returned by a panicking thread");
            eventually("the pool has cancelled", || server.count(Call::Cancel) == by_the_pool);
            let next = pool.get().unwrap();
            for late in [&first, &second, &first.clone()] {
                assert_eq!(late.cancel(LONG), CancelOutcome::LoanEnded, "{how}, {policy:?}");
            }
            assert_eq!(server.count(Call::Cancel), by_the_pool, "{how}, {policy:?}: no canceller has");
            drop(next);
            server.assert_no_leaks(&pool);
            assert_eq!(closed_by(&pool, CloseReason::Cancelled), 0, "{how}: an unused canceller costs nothing");
            drop(pool);
            assert_eq!(first.cancel(LONG), CancelOutcome::LoanEnded, "{how}: the pool is gone");
        }
    }
}

#[test]
fn nothing_is_cancelled_after_the_loan_however_it_ended() {
    nothing_is_cancelled_after_the_loan(FakeServer::manager);
    nothing_is_cancelled_after_the_loan(FakeServer::engine);
}

#[test]
fn a_return_waits_for_no_cancel_and_the_next_holder_has_another_connection() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).build_lazy(server.manager()).unwrap();
    let loan = pool.get().unwrap();
    let (id, canceller) = (PooledConnection::id(&loan), canceller(&loan));
    server.order(Call::Cancel, Outcome::Stuck);
    let cancelling = thread::spawn(move || canceller.cancel(LONG));
    eventually("the cancel is under way", || server.now_in(Call::Cancel) == 1);
    let ((), took) = timed(|| drop(loan));
    assert!(took < SLACK, "the return took {took:?}");
    let next = pool.get().unwrap();
    assert_ne!(PooledConnection::id(&next), id);
    server.release(Call::Cancel);
    assert_eq!(cancelling.join().unwrap(), CancelOutcome::Asked);
    drop(next);
    assert_eq!(closed_by(&pool, CloseReason::Cancelled), 1);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_cancel_that_hangs_or_fails_or_panics_says_so_in_time_and_costs_the_connection_alone() {
    for outcome in [Outcome::Stuck, Outcome::Err(cabrank::Fault::Unavailable), Outcome::Panic] {
        let server = FakeServer::new();
        let pool = one(server.manager());
        let loan = pool.get().unwrap();
        server.order(Call::Cancel, outcome);
        let (told, took) = timed(|| canceller(&loan).cancel(ms(50)));
        assert_eq!(told, CancelOutcome::NotAsked, "{outcome:?}");
        assert!(took < ms(50) + SLACK, "{outcome:?} took {took:?}");
        drop(loan);
        drop(pool.get().unwrap());
        assert_eq!(closed_by(&pool, CloseReason::Cancelled), 1, "{outcome:?}");
        server.heal();
        server.assert_no_leaks(&pool);
        server.assert_closes_clean(&pool);
    }
}

#[test]
fn an_interrupt_that_fails_or_panics_leaves_the_engines_connection_as_it_was() {
    for outcome in [Outcome::Err(cabrank::Fault::Statement), Outcome::Panic] {
        let server = FakeServer::new();
        let pool = one(server.engine());
        let loan = pool.get().unwrap();
        server.order(Call::Cancel, outcome);
        let canceller = canceller(&loan);
        assert_eq!(canceller.cancel(LONG), CancelOutcome::NotAsked, "{outcome:?}");
        server.order(Call::Cancel, Outcome::Ok);
        assert_eq!(canceller.cancel(LONG), CancelOutcome::Asked, "{outcome:?}");
        drop(loan);
        server.assert_no_leaks(&pool);
        assert_eq!(pool.stats().closed.total(), 0, "{outcome:?}");
    }
}

#[test]
fn without_an_abort_handle_there_is_no_canceller() {
    let server = FakeServer::new();
    server.without_abort_handles();
    let pool = one(server.manager());
    assert!(PooledConnection::canceller(&pool.get().unwrap()).is_none());
}

#[test]
fn a_handle_that_can_only_cancel_cancels_and_leaves_its_slot_to_what_hangs() {
    let server = FakeServer::new();
    server.without_aborts();
    let pool = builder().max_size(1).reset_timeout(ms(20)).build_lazy(server.manager()).unwrap();
    let mut loan = pool.get().unwrap();
    let canceller = canceller(&loan);
    server.next(Call::Query, Outcome::Never);
    cancels_what_runs(&server, &mut loan, &canceller);
    drop(loan);
    let mut loan = pool.get().unwrap();
    assert_eq!(closed_by(&pool, CloseReason::Cancelled), 1);

    server.next(Call::Reset, Outcome::Never);
    loan.litter();
    drop(loan);
    eventually("what the reset waits for is cancelled", || closed_by(&pool, CloseReason::Overran) == 1);

    let mut loan = pool.get().unwrap();
    server.next(Call::Reset, Outcome::Stuck);
    loan.litter();
    drop(loan);
    eventually("the reset has overrun", || pool.stats().stuck == 1);
    pool.get_timeout(ms(50)).expect_err("its session lives, and so its slot is taken");
    server.release(Call::Reset);

    let loan = pool.get().unwrap();
    let report = pool.close_within(ms(400));
    assert_eq!((report.cancelled.len(), report.aborted.len(), report.left.len()), (1, 0, 1), "{report}");
    drop(loan);
    server.assert_closes_clean(&pool);
    assert_eq!((server.count(Call::Abort), server.peak()), (0, 1));
}

#[test]
fn what_a_panicking_holder_left_running_is_cancelled_where_it_cannot_be_aborted() {
    let server = FakeServer::new();
    server.without_aborts();
    let pool = one(server.manager());
    let loan = pool.get().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _loan = loan;
        panic!("ordered");
    }));
    assert!(panicked.is_err());
    drop(pool.get().unwrap());
    assert_eq!((server.count(Call::Cancel), server.count(Call::Abort), server.peak()), (1, 0, 1));
    server.assert_no_leaks(&pool);
}

#[test]
fn a_loan_that_is_still_out_after_the_end_of_its_pool_can_be_cancelled() {
    let server = FakeServer::new();
    let pool = one(server.manager());
    let mut loan = pool.get().unwrap();
    let canceller = canceller(&loan);
    drop(pool);
    server.order(Call::Query, Outcome::Never);
    cancels_what_runs(&server, &mut loan, &canceller);
    drop(loan);
    assert_eq!(canceller.cancel(LONG), CancelOutcome::LoanEnded);
    eventually("its session ends", || server.live() == 0);
}

#[test]
fn a_cancel_beside_and_after_close_within_loses_nothing() {
    let server = FakeServer::new();
    let pool = one(server.manager());
    let loan = pool.get().unwrap();
    let canceller = canceller(&loan);
    let report = pool.close_within(ms(20));
    assert_eq!(report.aborted.len(), 1, "{report}");
    assert_eq!(canceller.cancel(LONG), CancelOutcome::Asked, "the loan is still out");
    drop(loan);
    assert_eq!(canceller.cancel(LONG), CancelOutcome::LoanEnded);
    server.assert_closes_clean(&pool);
}
