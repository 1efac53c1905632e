//! Transactions by the pool: which commit, which roll back, and that colliding ones are retried until none is lost.

use crate::cases::add;
use crate::subject::{Error, Remote, Subject, SubjectPool};
use cabrank::TransactionError;
use cabrank_testing::NetworkFault;
use cabrank_testing::proxy::Way;
use integration_tests::Case;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{mem, thread};

pub(crate) fn cases<S: Subject>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, no_increment_is_lost);
    add!(cases, S, Server, an_error_rolls_back);
}

pub(crate) fn remote_cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, a_deadlock_is_run_again);
    add!(cases, S, Server, a_commit_whose_connection_is_aborted_is_unknown_and_not_run_again);
}

fn no_increment_is_lost<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(4));
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..50 {
                    let transaction = pool.transaction().options(S::serializable()).retries(1_000);
                    let earned: Result<(), _> = transaction.run(|tx| -> Result<(), Error<S>> {
                        let money = S::number_in(tx, "SELECT money FROM account WHERE id = 1")?;
                        S::execute_in(tx, &format!("UPDATE account SET money = {} WHERE id = 1", money + 1))
                    });
                    earned.expect("it succeeds in the end");
                }
            });
        }
    });
    assert_eq!(money::<S>(&pool), 200);
}

fn an_error_rolls_back<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let failed = pool.transaction().run(|tx| -> Result<(), Error<S>> {
        S::execute_in(tx, "UPDATE account SET money = 7")?;
        S::execute_in(tx, "no SQL at all")
    });
    assert!(failed.is_err());
    assert_eq!(money::<S>(&pool), 0);
}

/// Two transactions lock two rows in opposite order, and collide the first time.
fn a_deadlock_is_run_again<S: Remote>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(2));
    S::execute(&mut pool.get().unwrap(), "INSERT INTO account VALUES (2, 0)").unwrap();
    let (middle, attempts) = (Barrier::new(2), AtomicUsize::new(0));
    thread::scope(|scope| {
        for [first, second] in [[1, 2], [2, 1]] {
            let (pool, middle, attempts) = (&pool, &middle, &attempts);
            scope.spawn(move || {
                let mut is_first_attempt = true;
                let done: Result<(), _> = pool.transaction().retries(3).run(|tx| -> Result<(), Error<S>> {
                    attempts.fetch_add(1, Ordering::Relaxed);
                    S::execute_in(tx, &format!("UPDATE account SET money = money + 1 WHERE id = {first}"))?;
                    if mem::take(&mut is_first_attempt) {
                        middle.wait();
                    }
                    S::execute_in(tx, &format!("UPDATE account SET money = money + 1 WHERE id = {second}"))
                });
                done.expect("it succeeds in the end");
            });
        }
    });
    assert_eq!(S::number(&mut pool.get().unwrap(), "SELECT min(money) + max(money) FROM account").unwrap(), 4);
    assert_eq!(attempts.into_inner(), 3, "the server ended one of the two, which ran again");
}

/// The server commits, and its answer does not arrive.
fn a_commit_whose_connection_is_aborted_is_unknown_and_not_run_again<S: Remote>() {
    let subject = S::new();
    let proxy = subject.database().proxy().unwrap();
    let pool = subject.pool_by(subject.database().url_through(&proxy), |builder| builder.max_size(1));
    let mut outside = subject.database().log_in().unwrap();
    let attempts = AtomicUsize::new(0);
    thread::scope(|scope| {
        let transfer = scope.spawn(|| {
            pool.transaction().retries(3).run(|tx| -> Result<(), Error<S>> {
                attempts.fetch_add(1, Ordering::Relaxed);
                S::execute_in(tx, "UPDATE account SET money = 7")?;
                proxy.set(NetworkFault::Stall(Way::ToClient));
                Ok(())
            })
        });
        let begun = Instant::now();
        while outside.number("SELECT money FROM account").unwrap() != 7 {
            assert!(begun.elapsed() < Duration::from_secs(10), "the server has not committed");
        }
        proxy.reset();
        let outcome = transfer.join().unwrap();
        assert!(matches!(outcome, Err(TransactionError::Unknown(_))), "{outcome:?}");
    });
    assert_eq!(attempts.into_inner(), 1);
    proxy.set(NetworkFault::None);
    assert_eq!(money::<S>(&pool), 7);
}

fn money<S: Subject>(pool: &SubjectPool<S>) -> i64 {
    S::number(&mut pool.get().unwrap(), "SELECT money FROM account WHERE id = 1").unwrap()
}
