//! Transactions nested in those of the pool: a failed inner one is undone alone, and nothing is committed by half.

use crate::cases::add;
use crate::subject::{Error, Remote, Subject, SubjectPool};
use cabrank::{Transact, TransactionError};
use cabrank_testing::panics::ORDERED;
use integration_tests::Case;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{mem, thread};

pub(crate) fn cases<S: Subject>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, what_fails_within_is_undone_alone);
    add!(cases, S, Server, a_panic_within_is_undone_alone_if_it_is_caught);
    add!(cases, S, Server, each_depth_is_undone_by_itself);
    add!(cases, S, Server, many_failures_within_leave_no_savepoint);
    add!(cases, S, Server, nesting_costs_no_reset);
    add!(cases, S, Server, savepoints_of_the_holders_own_stand);
    add!(cases, S, Server, a_savepoint_that_is_gone_is_an_error_and_nothing_is_committed);
}

pub(crate) fn remote_cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, a_deadlock_within_runs_the_whole_again);
    add!(cases, S, Server, a_connection_that_dies_within_is_replaced_and_nothing_is_committed);
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;
type Tx<'t, S> = <<S as Subject>::Manager as Transact>::Transaction<'t>;

fn nested<S: Subject, T, E: From<Error<S>>>(
    outer: &mut Tx<'_, S>,
    work: impl FnOnce(&mut Tx<'_, S>) -> Result<T, E>,
) -> Result<T, E> {
    <S::Manager as Transact>::nested(outer, work)
}

fn earn<S: Subject>(tx: &mut Tx<'_, S>, money: i64) -> Result<(), Error<S>> {
    S::execute_in(tx, &format!("UPDATE account SET money = money + {money} WHERE id = 1"))
}

fn money<S: Subject>(pool: &SubjectPool<S>) -> i64 {
    S::number(&mut pool.get().unwrap(), "SELECT money FROM account WHERE id = 1").unwrap()
}

fn what_fails_within_is_undone_alone<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let done = pool.transaction().run(|tx| -> Result<(), Error<S>> {
        earn::<S>(tx, 1)?;
        let failed = nested::<S, (), Error<S>>(tx, |tx| {
            earn::<S>(tx, 10)?;
            S::execute_in(tx, "no SQL at all")
        });
        assert!(failed.is_err());
        earn::<S>(tx, 100)?;
        nested::<S, _, _>(tx, |tx| earn::<S>(tx, 1_000))
    });
    done.unwrap();
    assert_eq!(money::<S>(&pool), 1_101);
    assert_eq!(pool.stats().opened, 1);
}

fn a_panic_within_is_undone_alone_if_it_is_caught<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let done = pool.transaction().run(|tx| -> Result<(), Error<S>> {
        earn::<S>(tx, 1)?;
        let within = || {
            nested::<S, (), Error<S>>(tx, |tx| {
                earn::<S>(tx, 10)?;
                panic!("{ORDERED}")
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(within)).is_err());
        earn::<S>(tx, 100)
    });
    done.unwrap();
    assert_eq!(money::<S>(&pool), 101);
    assert_eq!(pool.stats().opened, 1);
}

/// Each adds one at its own place; the even ones fail.
fn each_depth_is_undone_by_itself<S: Subject>() {
    fn descend<S: Subject>(tx: &mut Tx<'_, S>, depth: u32) -> Result<(), AnyError> {
        if depth == 6 {
            return Ok(());
        }
        earn::<S>(tx, 10_i64.pow(depth))?;
        let _ = nested::<S, (), AnyError>(tx, |tx| {
            descend::<S>(tx, depth + 1)?;
            if depth == 3 { Err("changed my mind".into()) } else { Ok(()) }
        });
        earn::<S>(tx, 10_i64.pow(depth))?;
        Ok(())
    }

    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    pool.transaction().run(|tx| descend::<S>(tx, 0)).unwrap();
    assert_eq!(money::<S>(&pool), 2_222, "what is deeper than the fourth is gone");
}

fn many_failures_within_leave_no_savepoint<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let done = pool.transaction().run(|tx| -> Result<(), AnyError> {
        for _ in 0..300 {
            let failed = nested::<S, (), AnyError>(tx, |tx| {
                earn::<S>(tx, 1)?;
                Err("changed my mind".into())
            });
            assert_eq!(failed.unwrap_err().to_string(), "changed my mind");
        }
        Ok(())
    });
    done.unwrap();
    assert_eq!(money::<S>(&pool), 0);
}

fn nesting_costs_no_reset<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let done = pool.transaction().run(|tx| -> Result<(), AnyError> {
        nested::<S, (), AnyError>(tx, |tx| Ok(earn::<S>(tx, 1)?))?;
        let failed = nested::<S, (), AnyError>(tx, |_| Err("changed my mind".into()));
        assert!(failed.is_err());
        Ok(())
    });
    done.unwrap();
    assert_eq!(money::<S>(&pool), 1);
    assert_eq!((pool.stats().resets_done, pool.stats().opened), (0, 1));
}

fn savepoints_of_the_holders_own_stand<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let done = pool.transaction().run(|tx| -> Result<(), Error<S>> {
        earn::<S>(tx, 1)?;
        S::execute_in(tx, "SAVEPOINT mine")?;
        earn::<S>(tx, 10)?;
        nested::<S, _, Error<S>>(tx, |tx| {
            earn::<S>(tx, 100)?;
            S::execute_in(tx, "SAVEPOINT another")?;
            earn::<S>(tx, 1_000)?;
            S::execute_in(tx, "ROLLBACK TO another")
        })?;
        assert_eq!(S::number_in(tx, "SELECT money FROM account WHERE id = 1")?, 111);
        S::execute_in(tx, "ROLLBACK TO mine")
    });
    done.unwrap();
    assert_eq!(money::<S>(&pool), 1);
}

/// The outer closure ignores the error.
fn a_savepoint_that_is_gone_is_an_error_and_nothing_is_committed<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    for fails in [false, true] {
        let outcome = pool.transaction().run(|tx| -> Result<(), AnyError> {
            S::execute_in(tx, "SAVEPOINT mine")?;
            let within = nested::<S, (), AnyError>(tx, |tx| {
                earn::<S>(tx, 1)?;
                S::execute_in(tx, "ROLLBACK TO mine")?;
                earn::<S>(tx, 10)?;
                if fails { Err("changed my mind".into()) } else { Ok(()) }
            });
            assert!(within.is_err());
            Ok(())
        });
        assert!(matches!(outcome, Err(TransactionError::Commit(_))), "{outcome:?}");
        assert_eq!(money::<S>(&pool), 0);
    }
}

/// Two transactions lock two rows in opposite order, and collide the first time.
fn a_deadlock_within_runs_the_whole_again<S: Remote>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(2));
    S::execute(&mut pool.get().unwrap(), "INSERT INTO account VALUES (2, 0)").unwrap();
    let (middle, outer, inner) = (Barrier::new(2), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for [first, second] in [[1, 2], [2, 1]] {
            let (pool, middle, outer, inner) = (&pool, &middle, &outer, &inner);
            scope.spawn(move || {
                let mut is_first_attempt = true;
                let done = pool.transaction().retries(3).run(|tx| -> Result<(), Error<S>> {
                    outer.fetch_add(1, Ordering::Relaxed);
                    S::execute_in(tx, &format!("UPDATE account SET money = money + 1 WHERE id = {first}"))?;
                    if mem::take(&mut is_first_attempt) {
                        middle.wait();
                    }
                    nested::<S, _, _>(tx, |tx| {
                        inner.fetch_add(1, Ordering::Relaxed);
                        S::execute_in(tx, &format!("UPDATE account SET money = money + 1 WHERE id = {second}"))
                    })
                });
                done.expect("it succeeds in the end");
            });
        }
    });
    assert_eq!(S::number(&mut pool.get().unwrap(), "SELECT min(money) + max(money) FROM account").unwrap(), 4);
    assert_eq!((outer.into_inner(), inner.into_inner()), (3, 3), "the server ended one of the two, which ran again");
}

fn a_connection_that_dies_within_is_replaced_and_nothing_is_committed<S: Remote>() {
    let subject = S::new();
    let proxy = subject.database().proxy().unwrap();
    let pool = subject.pool_by(subject.database().url_through(&proxy), |builder| builder.max_size(1));
    let outcome = pool.transaction().run(|tx| -> Result<(), Error<S>> {
        earn::<S>(tx, 1)?;
        let _ = nested::<S, (), Error<S>>(tx, |tx| {
            earn::<S>(tx, 10)?;
            proxy.reset();
            Ok(())
        });
        Ok(())
    });
    assert!(outcome.is_err(), "the error within was passed over");
    assert_eq!(money::<S>(&pool), 0);
    assert_eq!(pool.stats().opened, 2);
}
