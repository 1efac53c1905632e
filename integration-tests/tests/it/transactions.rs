//! Transactions by the pool: what commits, what rolls back, and that those which collide are run again until none is lost.

use std::{sync::Barrier, thread};

use integration_tests::Case;

use crate::{
    cases::add,
    subject::{Error, Subject, SubjectPool},
};

pub(crate) fn cases<S: Subject>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, no_increment_is_lost);
    add!(cases, S, Server, an_error_rolls_back);
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
                    earned.expect("it goes through in the end");
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

fn money<S: Subject>(pool: &SubjectPool<S>) -> i64 {
    S::number(&mut pool.get().unwrap(), "SELECT money FROM account WHERE id = 1").unwrap()
}
