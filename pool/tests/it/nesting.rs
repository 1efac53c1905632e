//! Nested transactions: a failed inner one is undone alone, and a retry repeats the whole.

use crate::support::{Pool, builder, closed_by};
use crate::transactions::error;
use cabrank::{CloseReason, Fault, TransactionError};
use cabrank_testing::fake::{Call, FakeError, FakeServer, Outcome};
use cabrank_testing::panics::ORDERED;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};

type AnyError = Box<dyn Error + Send + Sync>;

fn one(server: &FakeServer) -> Pool {
    server.allow(1);
    builder().max_size(1).build_lazy(server.manager()).unwrap()
}

/// The numbers of savepoints set, released and rolled back to, and of commits.
fn counts(server: &FakeServer) -> [usize; 4] {
    [Call::Savepoint, Call::Release, Call::RollbackTo, Call::Commit].map(|call| server.count(call))
}

#[test]
fn a_nested_transaction_is_released_or_rolled_back_and_the_outer_one_goes_on() {
    let server = FakeServer::new();
    let pool = one(&server);
    let value = pool.transaction().run(|tx| -> Result<u32, FakeError> {
        let inner = tx.nested(|tx| tx.nested(|tx| tx.query().map(|()| 20)).map(|inner| inner + 1))?;
        tx.nested(|_| Err::<(), _>(error(Fault::Statement))).unwrap_err();
        tx.query()?;
        Ok(inner)
    });
    assert_eq!(value.unwrap(), 21);
    assert_eq!(counts(&server), [3, 2, 1, 1]);
    assert_eq!((pool.stats().opened, server.count(Call::Reset)), (1, 0), "the session is clean");
    server.assert_no_leaks(&pool);
}

#[test]
fn the_closures_error_comes_back_as_it_is() {
    let server = FakeServer::new();
    let pool = one(&server);
    let outcome = pool
        .transaction()
        .run(|tx| -> Result<(), AnyError> { tx.nested(|_| Err::<(), AnyError>("changed my mind".into())) });
    match outcome {
        Err(TransactionError::User(error)) => assert_eq!(error.to_string(), "changed my mind"),
        other => panic!("{other:?}"),
    }
    assert_eq!(counts(&server), [1, 0, 1, 0]);
}

#[test]
fn a_retry_within_runs_the_whole_anew_and_nothing_alone() {
    for failing in [None, Some(Call::Savepoint), Some(Call::Release)] {
        let server = FakeServer::new();
        let pool = one(&server);
        if let Some(call) = failing {
            server.next(call, Outcome::Err(Fault::Retry));
        }
        let (mut outer, mut inner) = (0, 0);
        let outcome = pool.transaction().retries(3).run(|tx| -> Result<(), AnyError> {
            outer += 1;
            tx.nested(|_| -> Result<(), AnyError> {
                inner += 1;
                if failing.is_none() && inner == 1 { Err(error(Fault::Retry).into()) } else { Ok(()) }
            })
        });
        outcome.unwrap();
        let ran = if failing == Some(Call::Savepoint) { 1 } else { 2 };
        assert_eq!((outer, inner), (2, ran), "{failing:?}");
        assert_eq!((server.count(Call::Begin), server.count(Call::Commit)), (2, 1), "{failing:?}");
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn a_lost_connection_within_is_seen() {
    let server = FakeServer::new();
    let pool = one(&server);
    let outcome = pool.transaction().run(|tx| tx.nested(|_| Err::<(), _>(error(Fault::Fatal))));
    assert!(matches!(outcome, Err(TransactionError::User(_))));
    assert_eq!(closed_by(&pool, CloseReason::Broken), 1);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_release_that_fails_is_the_nested_ones_failure() {
    let server = FakeServer::new();
    let pool = one(&server);
    server.next(Call::Release, Outcome::Err(Fault::Statement));
    let outcome =
        pool.transaction().run(|tx| -> Result<bool, FakeError> { Ok(tx.nested(|_| Ok::<_, FakeError>(())).is_err()) });
    assert!(outcome.unwrap());
    assert_eq!(counts(&server), [1, 1, 1, 1]);
}

#[test]
fn what_can_be_neither_released_nor_undone_is_not_committed() {
    let server = FakeServer::new();
    let pool = one(&server);
    server.next(Call::RollbackTo, Outcome::Err(Fault::Statement));
    let outcome = pool.transaction().run(|tx| -> Result<(), FakeError> {
        tx.nested(|_| Err::<(), _>(error(Fault::Statement))).unwrap_err();
        Ok(())
    });
    assert!(matches!(outcome, Err(TransactionError::Commit(_))), "{outcome:?}");
    server.assert_no_leaks(&pool);
}

#[test]
fn a_panic_within_is_undone_alone_if_it_is_caught() {
    let server = FakeServer::new();
    let pool = one(&server);
    let outcome = pool.transaction().run(|tx| -> Result<(), FakeError> {
        let within = || tx.nested(|_| -> Result<(), FakeError> { panic!("{ORDERED}") });
        assert!(catch_unwind(AssertUnwindSafe(within)).is_err());
        tx.query()
    });
    outcome.unwrap();
    assert_eq!(counts(&server), [1, 0, 1, 1]);
    assert_eq!(pool.stats().opened, 1);
    server.assert_no_leaks(&pool);
}
