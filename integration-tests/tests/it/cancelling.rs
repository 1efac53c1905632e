//! Cancelling what a holder runs: it ends that, and hits nobody who comes after.

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

/// A cancel goes by a session of its own, which the server may have for a moment more.
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
        // Until it runs a cancel finds nothing to end.
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
        // The statement has begun by the time that its own canceller ends it, so the late ones could have hit it.
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
    // How many began before the return, and after it.
    let (mut begun, mut late) = (0, 0);
    for round in 0..MOST_ROUNDS {
        if round >= ROUNDS && begun > 0 && late > 0 {
            break;
        }
        let mut loan = pool.get().unwrap();
        give.send(canceller::<S>(&loan)).unwrap();
        // Cancelled or not. The moment of the return is another in each round: both must happen.
        for _ in 0..round % 10 {
            let _ = S::number(&mut loan, "SELECT 1");
        }
        drop(loan);
        let mut next = pool.get().unwrap();
        for _ in 0..5 {
            assert_eq!(S::number(&mut next, "SELECT 1").expect("a late cancel hit the next holder"), 1);
        }
        // What was asked for too late for the server was begun before the return, too.
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
/// If all of them began on one side of the return, as many more as it takes, up to so many.
const MOST_ROUNDS: u32 = 10 * ROUNDS;
