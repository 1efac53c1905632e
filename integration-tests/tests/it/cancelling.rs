//! Cancelling a holder's statement: the cancel ends it, and reaches no later holder.

use crate::cases::add;
use crate::subject::{Guard, Subject};
use cabrank::{CancelOutcome, Canceller, CloseReason, Manager, PooledConnection};
use cabrank_testing::{assert_closes_clean, eventually};
use integration_tests::{Case, figure};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

pub(crate) fn cases<S: Subject>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, a_cancel_ends_what_runs_and_what_comes_after_it_is_well);
    add!(cases, S, Server, a_thousand_late_cancels_hit_no_next_holder);
    add!(cases, S, Server, cancels_that_race_a_return_hit_no_next_holder);
}

/// A cancel has its own session, which the server may list for a moment more.
fn subject<S: Subject>() -> S {
    let subject = S::new();
    subject.watch().inspect(|watch| watch.allow(3));
    subject
}

fn canceller<S: Subject>(loan: &Guard<S>) -> Canceller {
    PooledConnection::canceller(loan).expect("each adapter offers one")
}

fn cancel(canceller: &Canceller) -> CancelOutcome {
    canceller.cancel(Duration::from_secs(10))
}

fn a_cancel_ends_what_runs_and_what_comes_after_it_is_well<S: Subject>() {
    let subject = subject::<S>();
    let pool = subject.pool(|builder| builder.max_size(1));
    let mut loan = pool.get().unwrap();
    let (id, canceller) = (PooledConnection::id(&loan), canceller::<S>(&loan));
    thread::scope(|scope| {
        let running = scope.spawn(|| S::number(&mut loan, S::ENDLESS).map(drop));
        // Before the statement runs, a cancel finds nothing to end.
        eventually("it was cancelled", || {
            assert_eq!(cancel(&canceller), CancelOutcome::Asked);
            running.is_finished()
        });
        running.join().unwrap().expect_err("it was cancelled");
    });
    drop(loan);
    let mut next = pool.get().unwrap();
    assert_eq!(PooledConnection::id(&next) == id, !S::Manager::REMOTE, "is it the same connection?");
    assert_eq!(S::number(&mut next, "SELECT 1").expect("the next holder is not cancelled"), 1);
    drop(next);
    assert_eq!(pool.stats().closed.by(CloseReason::Cancelled), u64::from(S::Manager::REMOTE));
    assert_closes_clean(&pool);
}

fn a_thousand_late_cancels_hit_no_next_holder<S: Subject>() {
    let subject = subject::<S>();
    let pool = subject.pool(|builder| builder.max_size(1));
    let mut loan = pool.get().unwrap();
    let late = canceller::<S>(&loan);
    S::number(&mut loan, "SELECT 1").unwrap();
    drop(loan);
    let mut next = pool.get().unwrap();
    let own = canceller::<S>(&next);
    thread::scope(|scope| {
        let running = scope.spawn(|| S::number(&mut next, S::ENDLESS).map(drop));
        for _ in 0..1_000 {
            assert_eq!(cancel(&late), CancelOutcome::LoanEnded);
        }
        // The statement has begun by the time its own canceller ends it, so the late ones could have hit it.
        assert!(!running.is_finished(), "a late cancel hit the next holder");
        eventually("it was cancelled", || {
            assert_eq!(cancel(&own), CancelOutcome::Asked);
            running.is_finished()
        });
        running.join().unwrap().expect_err("it was cancelled");
    });
    drop(next);
    assert_closes_clean(&pool);
}

fn cancels_that_race_a_return_hit_no_next_holder<S: Subject>() {
    let subject = subject::<S>();
    let pool = subject.pool(|builder| builder.max_size(2));
    let (give, take) = channel::<Canceller>();
    let (tell, told) = channel();
    let watchdog = thread::spawn(move || take.iter().for_each(|canceller| tell.send(cancel(&canceller)).unwrap()));
    // The numbers of cancels that began before the return and after it.
    let (mut begun, mut late) = (0, 0);
    for round in 0..MOST_ROUNDS {
        if round >= ROUNDS && begun > 0 && late > 0 {
            break;
        }
        let mut loan = pool.get().unwrap();
        give.send(canceller::<S>(&loan)).unwrap();
        // Cancelled or not. The time of the return differs in each round: both outcomes must occur.
        for _ in 0..round % 10 {
            let _ = S::number(&mut loan, "SELECT 1");
        }
        drop(loan);
        let mut next = pool.get().unwrap();
        for _ in 0..5 {
            assert_eq!(S::number(&mut next, "SELECT 1").expect("a late cancel hit the next holder"), 1);
        }
        // A cancel that reached the server too late also began before the return.
        match told.recv().unwrap() {
            CancelOutcome::LoanEnded => late += 1,
            _ => begun += 1,
        }
    }
    drop(give);
    watchdog.join().unwrap();
    figure(format!("{begun} cancels began before the return, {late} after it, 0 hit the next holder"));
    assert!(begun > 0 && late > 0, "no race: {begun} cancels began before the return, {late} after it");
    let closed = if S::Manager::REMOTE { begun } else { 0 };
    eventually("what was cancelled is closed", || pool.stats().closed.by(CloseReason::Cancelled) == closed);
    assert_closes_clean(&pool);
}

const ROUNDS: u32 = 200;
/// If all cancels began on one side of the return, the test runs more rounds, up to this many.
const MOST_ROUNDS: u32 = 10 * ROUNDS;
