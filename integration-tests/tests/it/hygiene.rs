//! The next borrower must not find anything that an earlier one left behind.

use crate::cases::add;
use crate::subject::{Guard, Subject, SubjectPool};
use cabrank::{CloseReason, Transact};
use cabrank_testing::{assert_closes_clean, assert_no_leaks, eventually};
use integration_tests::Case;
use std::{mem, panic, thread};

pub(crate) fn cases<S: Subject>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, nothing_of_a_session_reaches_the_next_borrower);
    add!(cases, S, Server, an_open_transaction_is_rolled_back);
    add!(cases, S, Server, a_forgotten_transaction_is_rolled_back);
    add!(cases, S, Server, a_failed_transaction_is_rolled_back);
    add!(cases, S, Server, a_connection_of_a_panicking_thread_is_closed);
    add!(cases, S, Server, a_detached_connection_lives_on_and_leaves_its_place);
}

/// The soiling statement has its own loan: a query in that loan could cost the reset that the next one should cost.
fn nothing_of_a_session_reaches_the_next_borrower<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let seen = |look: &str| S::number(&mut pool.get().unwrap(), look).unwrap();
    for (soil, look) in S::DIRT {
        let clean = seen(look);
        let mut conn = pool.get().unwrap();
        S::execute(&mut conn, soil).unwrap();
        assert_ne!(S::number(&mut conn, look).unwrap(), clean, "{soil}: this test would show nothing");
        drop(conn);
        assert_eq!(seen(look), clean, "{soil}, and a look");
        for _ in 0..2 {
            S::execute(&mut pool.get().unwrap(), soil).unwrap();
            assert_eq!(seen(look), clean, "{soil}");
        }
    }
    assert_eq!(subject.sessions(), 1);
    assert_eq!(pool.stats().opened, 1, "it costs no connection");
}

fn an_open_transaction_is_rolled_back<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let mut conn = pool.get().unwrap();
    S::execute(&mut conn, "BEGIN").unwrap();
    S::execute(&mut conn, "UPDATE account SET money = 7").unwrap();
    drop(conn);
    is_clean::<S>(&pool);
}

fn a_forgotten_transaction_is_rolled_back<S: Subject>() {
    let subject = S::new();
    let (pool, manager) = (subject.pool(|builder| builder.max_size(1)), subject.manager());
    let mut conn = pool.get().unwrap();
    let mut transaction = manager.begin(&mut conn, &Default::default()).unwrap();
    S::execute_in(&mut transaction, "UPDATE account SET money = 7").unwrap();
    mem::forget(transaction);
    drop(conn);
    is_clean::<S>(&pool);
}

/// On engines where an error aborts the transaction, too.
fn a_failed_transaction_is_rolled_back<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let mut conn = pool.get().unwrap();
    S::execute(&mut conn, "BEGIN").unwrap();
    S::execute(&mut conn, "UPDATE account SET money = 7").unwrap();
    S::execute(&mut conn, "no SQL at all").unwrap_err();
    drop(conn);
    is_clean::<S>(&pool);
}

fn is_clean<S: Subject>(pool: &SubjectPool<S>) {
    let mut conn = pool.get().unwrap();
    assert_eq!(S::number(&mut conn, "SELECT money FROM account").unwrap(), 0);
    S::execute(&mut conn, "BEGIN").expect("no transaction is open");
    S::execute(&mut conn, "ROLLBACK").unwrap();
    assert_eq!(pool.stats().opened, 1, "it costs no connection");
    drop(conn);
    assert_no_leaks(pool);
    assert_closes_clean(pool);
}

fn a_connection_of_a_panicking_thread_is_closed<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    thread::scope(|scope| {
        let pool = &pool;
        let holder = scope.spawn(move || {
            let _conn = pool.get().unwrap();
            // Unwinds without a message in the log of a passing test.
            panic::resume_unwind(Box::new(()))
        });
        assert!(holder.join().is_err());
    });
    assert_eq!(S::number(&mut pool.get().unwrap(), "SELECT 7").unwrap(), 7);
    assert_eq!(pool.stats().closed.by(CloseReason::Panicked), 1);
    eventually("the server has one session", || subject.sessions() == 1);
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

fn a_detached_connection_lives_on_and_leaves_its_place<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let mut detached = Guard::<S>::detach(pool.get().unwrap());
    let conn = pool.get().unwrap();
    assert_eq!(S::number(&mut detached, "SELECT 7").unwrap(), 7);
    assert_eq!((subject.sessions(), pool.stats().open), (2, 1));
    drop((detached, conn));
    eventually("the server has one session", || subject.sessions() == 1);
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}
