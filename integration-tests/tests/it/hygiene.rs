//! What one borrower leaves behind, the next must not find.

use std::{panic, thread};

use cabrank::CloseReason;
use integration_tests::Case;

use crate::{
    cases::{add, eventually},
    subject::{Guard, Subject},
};

pub(crate) fn cases<S: Subject>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, nothing_of_a_session_reaches_the_next_borrower);
    add!(cases, S, Server, an_open_transaction_is_rolled_back);
    add!(cases, S, Server, a_connection_of_a_panicking_thread_is_closed);
    add!(cases, S, Server, a_detached_connection_lives_on_and_leaves_its_place);
}

fn nothing_of_a_session_reaches_the_next_borrower<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    for (soil, look) in S::DIRT {
        let mut conn = pool.get().unwrap();
        let clean = S::number(&mut conn, look).unwrap();
        S::execute(&mut conn, soil).unwrap();
        assert_ne!(S::number(&mut conn, look).unwrap(), clean, "{soil}: this test would show nothing");
        drop(conn);
        assert_eq!(S::number(&mut pool.get().unwrap(), look).unwrap(), clean, "{soil}");
    }
    assert_eq!(subject.sessions(), 1);
}

fn an_open_transaction_is_rolled_back<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let mut conn = pool.get().unwrap();
    S::execute(&mut conn, "BEGIN").unwrap();
    S::execute(&mut conn, "UPDATE account SET money = 7").unwrap();
    drop(conn);
    let mut conn = pool.get().unwrap();
    assert_eq!(S::number(&mut conn, "SELECT money FROM account").unwrap(), 0);
    S::execute(&mut conn, "BEGIN").expect("no transaction is open");
}

fn a_connection_of_a_panicking_thread_is_closed<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    thread::scope(|scope| {
        let pool = &pool;
        let holder = scope.spawn(move || {
            let _conn = pool.get().unwrap();
            // Unwinds without a message in the log of a test that passes.
            panic::resume_unwind(Box::new(()))
        });
        assert!(holder.join().is_err());
    });
    assert_eq!(S::number(&mut pool.get().unwrap(), "SELECT 7").unwrap(), 7);
    assert_eq!(pool.stats().closed.by(CloseReason::Panicked), 1);
    eventually(|| subject.sessions() == 1);
}

fn a_detached_connection_lives_on_and_leaves_its_place<S: Subject>() {
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(1));
    let mut detached = Guard::<S>::detach(pool.get().unwrap());
    let conn = pool.get().unwrap();
    assert_eq!(S::number(&mut detached, "SELECT 7").unwrap(), 7);
    assert_eq!((subject.sessions(), pool.stats().open), (2, 1));
    drop((detached, conn));
    eventually(|| subject.sessions() == 1);
}
